-- +goose Up
-- The ingester goes from tenant to tenant, so that the rows of one that publishes very many in a transaction keep no other's waiting. Nobody
-- has checked the id yet: the key has no more of it than an index takes, and is never empty; '?' is no tenant's id. A row with a note becomes
-- no event, and any role that may publish for some tenant can write one under the name of another, so it has no place in that one's turn. The
-- table has only what waits for the ingester, so the index is built at once.
CREATE INDEX outbox_by_tenant ON outbox ((CASE WHEN note IS NULL THEN left(coalesce(nullif(tenant_id, ''), '?'), 100) ELSE '?' END), position);
