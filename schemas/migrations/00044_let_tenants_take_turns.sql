-- +goose Up
-- Whose event waits, so that the relay lets tenants take turns and the backlog has shares. The default is a constant, so no row is
-- rewritten: '?', which is no tenant's id, is what was there before and what a process of an earlier version writes; it takes turns like a
-- tenant. The table has only what waits for its start, so the index is built at once. It also finds what is due, a tenant at a time, so
-- dispatches_by_lease would only cost: a process of an earlier version sorts what waits instead.
ALTER TABLE dispatches ADD COLUMN tenant_id text NOT NULL DEFAULT '?';
CREATE INDEX dispatches_by_tenant ON dispatches (tenant_id, lease_until);
DROP INDEX dispatches_by_lease;
