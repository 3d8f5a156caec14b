-- +goose Up
-- A key that another one has taken the place of ends sooner than it was made to; it is not rotated once more.
ALTER TABLE api_keys ADD COLUMN rotated_at timestamptz;  -- null: it was not
