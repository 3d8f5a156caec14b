-- +goose Up
-- The log of a tenant by event type, newest first: a type that is rare among many would be looked for through all of them.
-- See 00004 for ON ONLY. No column of it changes, so that pending -> delivered stays a heap-only update.
CREATE INDEX deliveries_by_type ON ONLY deliveries (tenant_id, event_type, id);
