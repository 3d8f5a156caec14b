-- +goose Up
-- Attempts that a person asked for are told apart from those of the retry policy. A constant default is kept in the
-- catalog: no partition is rewritten.
ALTER TABLE attempts ADD COLUMN manual boolean NOT NULL DEFAULT false;
