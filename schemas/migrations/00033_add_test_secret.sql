-- +goose Up
-- Which secret signs a test, where its caller said so: current or previous. Null: as every attempt.
ALTER TABLE deliveries ADD COLUMN test_secret text;
