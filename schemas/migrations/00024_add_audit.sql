-- +goose Up
-- audit has an entry for each change, written in the transaction of the change (design, section 11). No foreign key: entries outlive
-- what they are about.
CREATE TABLE audit (
    id         uuid PRIMARY KEY,           -- UUIDv7, so that the order of ids is that of time
    tenant_id  text NOT NULL,              -- '': of no tenant
    at         timestamptz NOT NULL,
    actor      text NOT NULL,
    address    text NOT NULL,
    request_id text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL,
    before     json,
    after      json
);

CREATE INDEX audit_by_tenant ON audit (tenant_id, id);
