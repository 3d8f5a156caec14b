-- +goose Up
-- The check of who owns an endpoint's URL. The default is a constant, so that no row is rewritten.
ALTER TABLE tenants ADD COLUMN verify_endpoints boolean NOT NULL DEFAULT false;

ALTER TABLE endpoints
    ADD COLUMN verification json,                          -- what the receiver is asked; null: the endpoint asks nothing
    ADD COLUMN unverified boolean NOT NULL DEFAULT false,  -- held until the receiver has proven itself
    ADD COLUMN verified_at timestamptz,                    -- null: it has not, for this URL
    ADD COLUMN allowed_rate integer NOT NULL DEFAULT 0;    -- requests a minute that the receiver allows; 0: no limit
