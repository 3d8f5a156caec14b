-- +goose Up
-- A tenant has a limit of live API keys, and keys that ended are removed. The table is small, so that its indexes are built in no time.
ALTER TABLE tenants ADD COLUMN max_keys integer;   -- null: webhook.DefaultMaxKeys

CREATE INDEX api_keys_live ON api_keys (tenant_id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_by_end ON api_keys (least(revoked_at, expires_at));

-- Grants of publish are kept by the role's name, so that they outlive a dump that is restored elsewhere. A role that was dropped and
-- made anew has the name too, and is somebody else: what tells them apart is the right to call publish, which grant_publish gives as well,
-- and which goes with the role. Nothing is found by search_path: see 00003.
-- +goose StatementBegin
DO $migration$
BEGIN
    -- publish_grantees lists the roles that the right to call publish was given to, by name; 'public': everybody.
    EXECUTE format($definition$
        CREATE FUNCTION publish_grantees() RETURNS SETOF text
        LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
            SELECT CASE a.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(a.grantee)::text END
            FROM pg_proc p CROSS JOIN aclexplode(p.proacl) a WHERE p.oid = %1$L::regprocedure AND a.privilege_type = 'EXECUTE'
        $body$
    $definition$, format('%I.publish(text, text, json, text, timestamptz, json)', current_schema()));

    -- may_publish as in 00032, and a grant counts only for a role that the right to call publish was given to.
    EXECUTE format($definition$
        CREATE OR REPLACE FUNCTION may_publish(tenant text) RETURNS boolean
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RETURN tenant IS NULL OR has_table_privilege(session_user, %2$L, 'INSERT') OR EXISTS (
                SELECT FROM %1$I.publishers p LEFT JOIN pg_roles r ON r.rolname = p.role
                WHERE p.tenant_id IN (may_publish.tenant, '*') AND (p.role = 'public' OR pg_has_role(session_user, r.oid, 'USAGE'))
                    AND p.role IN (SELECT %1$I.publish_grantees()));
        END
        $body$
    $definition$, current_schema(), format('%I.outbox', current_schema()));

    -- grant_publish as in 00032, and what was granted to an earlier role of the same name is forgotten.
    EXECUTE format($definition$
        CREATE OR REPLACE FUNCTION grant_publish(role text, tenant text) RETURNS void
        LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF grant_publish.tenant IS NULL OR grant_publish.tenant <> '*' AND grant_publish.tenant !~ '^[a-z0-9][a-z0-9-]{0,62}$' THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                    MESSAGE = 'grant_publish: the tenant is the id of one, or * for all';
            END IF;
            IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grant_publish.role) THEN
                RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('grant_publish: there is no role %%L', grant_publish.role);
            END IF;
            DELETE FROM %1$I.publishers p WHERE p.role = grant_publish.role AND p.role NOT IN (SELECT %1$I.publish_grantees());
            EXECUTE format('GRANT USAGE ON SCHEMA %%I TO %%I', %2$L, grant_publish.role);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %%1$I.publish(text, text, json, text, timestamptz, json), %%1$I.publish_changes() TO %%2$I',
                %2$L, grant_publish.role);
            INSERT INTO %1$I.publishers (role, tenant_id) VALUES (grant_publish.role, grant_publish.tenant) ON CONFLICT DO NOTHING;
        END
        $body$
    $definition$, current_schema(), current_schema());
END
$migration$;
-- +goose StatementEnd
