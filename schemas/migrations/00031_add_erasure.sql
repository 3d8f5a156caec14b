-- +goose Up
ALTER TABLE tenants ADD COLUMN erased_at timestamptz;   -- it is being erased, and nothing finds it any more; null: it is not

-- erased_events are looked at again for some minutes: an attempt that was under way may still have recorded an answer.
CREATE TABLE erased_events (
    event_key uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL
);

-- erasures of tenants. A row stays, so that somebody who asks later learns that it was done.
CREATE TABLE erasures (
    tenant_id   text PRIMARY KEY,
    rows        bigint NOT NULL DEFAULT 0, -- deleted so far
    started_at  timestamptz NOT NULL,
    finished_at timestamptz                -- null: it goes on
);

CREATE INDEX erasures_open ON erasures (tenant_id) WHERE finished_at IS NULL;

-- delete_grants_of deletes who may publish with SQL for a tenant that is being erased. It runs with the rights of its owner, because
-- the role of the processes may not write that table. Nothing is found by search_path; see 00003.
-- +goose StatementBegin
DO $migration$
BEGIN
    EXECUTE format($definition$
        CREATE FUNCTION delete_grants_of(tenant text) RETURNS bigint
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            deleted bigint;
        BEGIN
            DELETE FROM %1$I.publishers p WHERE p.tenant_id = delete_grants_of.tenant
                AND EXISTS (SELECT FROM %1$I.tenants t WHERE t.id = delete_grants_of.tenant AND t.erased_at IS NOT NULL);
            GET DIAGNOSTICS deleted = ROW_COUNT;
            RETURN deleted;
        END
        $body$
    $definition$, current_schema());
END
$migration$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION delete_grants_of(text) FROM PUBLIC;
