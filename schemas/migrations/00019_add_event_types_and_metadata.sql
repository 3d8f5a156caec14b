-- +goose Up
ALTER TABLE tenants ADD COLUMN metadata json;      -- {"name": "value"}; null: none
ALTER TABLE endpoints ADD COLUMN metadata json;

-- event_types is a tenant's own catalogue, on top of its dialect's.
CREATE TABLE event_types (
    tenant_id   text NOT NULL REFERENCES tenants (id),
    type        text NOT NULL,
    description text NOT NULL DEFAULT '',
    schema      json,                      -- JSON Schema of data; null: any
    example     json,                      -- webhook.Example; null: none
    deprecated  boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, type)
);

-- idempotency_keys remembers what a POST with an Idempotency-Key made, for a day. It is written in the transaction that makes it.
CREATE TABLE idempotency_keys (
    scope      text NOT NULL,              -- the tenant's id; '' for what belongs to none
    hash       bytea NOT NULL,             -- SHA-256 of route and key
    digest     bytea NOT NULL,             -- SHA-256 of the request, to tell a repetition from a conflict
    resource   text NOT NULL,              -- the id of what was made
    sealed     bytea,                      -- what only the first answer shows, AES-256-GCM; null: nothing
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope, hash)
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
