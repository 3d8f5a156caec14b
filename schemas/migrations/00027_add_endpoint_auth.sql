-- +goose Up
-- What an endpoint's receiver asks Waybill to prove itself with (design, section 11). No column has a default, so that no row is written.
ALTER TABLE endpoints
    ADD COLUMN auth_sealed bytea,                  -- credentials as JSON, AES-256-GCM; null: none
    ADD COLUMN certificate_expires_at timestamptz, -- of the client certificate among them
    ADD COLUMN certificate_warn_at timestamptz;    -- when its end is told next; null: not any more

-- The upkeep looks for warnings that are due.
CREATE INDEX endpoints_with_certificate ON endpoints (certificate_warn_at) WHERE certificate_warn_at IS NOT NULL;
