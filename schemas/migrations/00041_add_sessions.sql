-- +goose Up

-- What people sign in with, beside API keys. Tokens are stored as hashes only. Both tables are small: a session and a link live for a
-- day at most, and a day later their rows go.

-- portal_links open one session, once.
CREATE TABLE portal_links (
    id          uuid PRIMARY KEY,
    hash        bytea NOT NULL UNIQUE,                        -- SHA-256 of the token
    tenant_id   text REFERENCES tenants,                      -- null: it opens an administrator's session
    key_id      uuid REFERENCES api_keys ON DELETE CASCADE,   -- the key that made it; null: an administrator's
    maker_check bytea,                                        -- which administrator's key made it, for whoever has the token and the key
    scopes      text[] NOT NULL,
    filter      json,                                         -- {"attribute": ["value", ...]}; null: none
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,                         -- of the session that it opens, too
    opened_at   timestamptz                                   -- null: nobody has opened it
);

CREATE INDEX portal_links_by_tenant ON portal_links (tenant_id, expires_at);
CREATE INDEX portal_links_by_key ON portal_links (key_id);
CREATE INDEX portal_links_by_end ON portal_links (expires_at);

CREATE TABLE sessions (
    id          uuid PRIMARY KEY,
    hash        bytea NOT NULL UNIQUE,                        -- SHA-256 of the token
    tenant_id   text REFERENCES tenants,                      -- null: an administrator's
    key_id      uuid REFERENCES api_keys ON DELETE CASCADE,   -- the key that made it, or its link; null: an administrator's
    maker_check bytea,                                        -- as in portal_links
    link_id     uuid,                                         -- the link that opened it; null: a key made it
    scopes      text[] NOT NULL,                              -- of the link; empty where the key has them
    filter      json,                                         -- of the link
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);

CREATE INDEX sessions_by_key ON sessions (key_id, id);
CREATE INDEX sessions_by_tenant ON sessions (tenant_id, id);
CREATE INDEX sessions_by_end ON sessions (expires_at);
