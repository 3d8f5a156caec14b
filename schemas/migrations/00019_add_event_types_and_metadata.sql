-- +goose Up
ALTER TABLE tenants
    ADD COLUMN metadata      json,                 -- {"name": "value"}; null: none
    ADD COLUMN types_version bigint NOT NULL DEFAULT 0; -- grows with every change of the tenant's event types; 0: there never was one
ALTER TABLE endpoints ADD COLUMN metadata json;

-- event_types is a tenant's own catalogue, on top of its dialect's.
CREATE TABLE event_types (
    tenant_id   text NOT NULL REFERENCES tenants (id),
    type        text NOT NULL,
    description text NOT NULL,
    schema      json,                      -- JSON Schema of data; null: any
    example     bytea,                     -- webhook.Example as JSON; null: none
    deprecated  boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, type)
);

-- idempotency_keys remembers the answer to a POST with an Idempotency-Key, for a day. It is written in the transaction that makes
-- what the POST asks for.
CREATE TABLE idempotency_keys (
    scope         text NOT NULL,           -- the tenant's id; '' for what belongs to none
    hash          bytea NOT NULL,          -- SHA-256 of path and key
    digest        bytea NOT NULL,          -- SHA-256 of caller and request, to tell a repetition from a conflict
    answer_sealed bytea,                   -- the first answer, AES-256-GCM; null only until its transaction commits
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (scope, hash)
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
