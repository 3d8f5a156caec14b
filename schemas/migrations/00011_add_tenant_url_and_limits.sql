-- +goose Up
-- Constant defaults, so that no row is rewritten. A tenant that has more endpoints than the default limit keeps them and
-- gets no more until the administrator raises its limit.
ALTER TABLE tenants
    ADD COLUMN url           text NOT NULL DEFAULT '', -- the platform's own, for mail about its webhooks
    ADD COLUMN max_endpoints integer;                  -- null: webhook.DefaultMaxEndpoints
