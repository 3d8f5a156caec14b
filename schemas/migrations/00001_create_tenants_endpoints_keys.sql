-- +goose Up
-- Everything is created without a schema name: the connection's search_path says where (WAYBILL_DATABASE_SCHEMA).

CREATE TABLE tenants (
    id                  text PRIMARY KEY,
    name                text NOT NULL,
    dialect             text NOT NULL,
    contact_email       text NOT NULL DEFAULT '',
    allow_unknown_types boolean NOT NULL DEFAULT false,
    express             boolean NOT NULL DEFAULT false,
    retry               json,              -- webhook.RetryPolicy as written; null: the dialect's
    secret_sealed       bytea,             -- signing secret, AES-256-GCM; null where each endpoint has its own
    created_at          timestamptz NOT NULL,
    version             bigint NOT NULL DEFAULT 1  -- grows with every change of the tenant or of one of its endpoints
);

CREATE TABLE endpoints (
    id              uuid PRIMARY KEY,
    tenant_id       text NOT NULL REFERENCES tenants (id),
    url             text NOT NULL,
    event_types     text[] NOT NULL,
    filter          json,                  -- {"attribute": ["value", ...]}; null: none
    description     text NOT NULL DEFAULT '',
    headers_sealed  bytea,                 -- custom headers as JSON, AES-256-GCM: they often carry API keys
    retry           json,
    timeout_ms      integer,
    secret_sealed   bytea,                 -- null where the tenant's secret signs
    disabled_at     timestamptz,
    disabled_reason text NOT NULL DEFAULT '',
    recovery_due    boolean NOT NULL DEFAULT false, -- enabled, and the workflows that hold its deliveries are to be told
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    deleted_at      timestamptz,           -- kept as a row so that old deliveries still name it; URL and secrets are wiped
    version         bigint NOT NULL DEFAULT 1
);

CREATE INDEX endpoints_by_tenant ON endpoints (tenant_id, id) WHERE deleted_at IS NULL;
CREATE INDEX endpoints_recovery_due ON endpoints (id) WHERE recovery_due;

CREATE TABLE api_keys (
    id         uuid PRIMARY KEY,
    tenant_id  text NOT NULL REFERENCES tenants (id),
    name       text NOT NULL,
    scopes     text[] NOT NULL,
    hash       bytea NOT NULL UNIQUE,      -- SHA-256 of the key; the key has 256 random bits, so no salt is needed
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, id);
