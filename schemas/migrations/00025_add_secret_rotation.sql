-- +goose Up
-- A secret's rotation keeps the one before it. No column has a default that rewrites rows.
ALTER TABLE endpoints
    ADD COLUMN previous_secret_sealed bytea,       -- null: none
    ADD COLUMN previous_until timestamptz,         -- until when it signs beside the current one; null: there is none
    ADD COLUMN secret_switch_at timestamptz;       -- until when it signs in place of the current one, in a header of one signature

ALTER TABLE tenants
    ADD COLUMN previous_secret_sealed bytea,
    ADD COLUMN previous_until timestamptz,
    ADD COLUMN secret_switch_at timestamptz;

-- The upkeep deletes what no longer signs.
CREATE INDEX endpoints_with_previous_secret ON endpoints (previous_until) WHERE previous_until IS NOT NULL;
CREATE INDEX tenants_with_previous_secret ON tenants (previous_until) WHERE previous_until IS NOT NULL;

-- Fingerprints of the secrets that signed, with a space between them; null where an earlier version recorded the attempt.
ALTER TABLE attempts ADD COLUMN signed_with text;
