-- +goose Up
-- A role may publish for the tenants that were granted to it, not for all. What counts is who logged in, session_user: SET ROLE changes
-- nothing, nor does a function that runs with its owner's rights.

CREATE TABLE publishers (
    role      text NOT NULL,               -- its members may as well; 'public': everybody who may call publish
    tenant_id text NOT NULL,               -- '*': every tenant
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (role, tenant_id)
);

-- Who could publish before could for every tenant, and still can.
INSERT INTO publishers (role, tenant_id)
    SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(a.grantee)::text END, '*'
    FROM pg_proc p CROSS JOIN aclexplode(p.proacl) a
    WHERE p.oid = 'publish(text, text, json, text, timestamptz, json)'::regprocedure AND a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner;

-- The functions find nothing by search_path: see 00003.
-- +goose StatementBegin
DO $migration$
BEGIN
    -- may_publish reports whether the role of this session may publish for a tenant: a role that may write the outbox itself may for
    -- all. An event without a tenant is nobody's; it ends in quarantine.
    EXECUTE format($definition$
        CREATE FUNCTION may_publish(tenant text) RETURNS boolean
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            RETURN tenant IS NULL OR has_table_privilege(session_user, %2$L, 'INSERT') OR EXISTS (
                SELECT FROM %1$I.publishers p LEFT JOIN pg_roles r ON r.rolname = p.role
                WHERE p.tenant_id IN (may_publish.tenant, '*') AND (p.role = 'public' OR pg_has_role(session_user, r.oid, 'USAGE')));
        END
        $body$
    $definition$, current_schema(), format('%I.outbox', current_schema()));

    -- publish_refusal says that the role of this session may not publish for a tenant.
    EXECUTE $definition$
        CREATE FUNCTION publish_refusal(tenant text) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $body$
            SELECT format('the role %I may not publish for the tenant %s', session_user, to_json(left(tenant, 100)))
        $body$
    $definition$;

    -- publish as in 00007; and it raises an error where the role may not publish for the tenant. What has a note ends in quarantine
    -- whoever wrote it.
    EXECUTE format($definition$
        CREATE OR REPLACE FUNCTION publish(tenant text, type text, data json, event_id text DEFAULT NULL,
            occurred_at timestamptz DEFAULT now(), attributes json DEFAULT NULL) RETURNS text
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            micros bigint := extract(epoch FROM clock_timestamp()) * 1000000;
            millis bigint := micros / 1000;
            key    text := lpad(to_hex(millis), 12, '0') || '7' || lpad(to_hex(mod(micros, 1000) * 4096 / 1000), 3, '0')
                || substr(replace(gen_random_uuid()::text, '-', ''), 17);
            bytes  bigint := coalesce(octet_length(publish.tenant), 0)::bigint + coalesce(octet_length(publish.event_id), 0)
                + coalesce(octet_length(publish.type), 0) + coalesce(octet_length(publish.data::text), 0)
                + coalesce(octet_length(publish.attributes::text), 0);
            note   text := left(nullif(current_setting('waybill.note', true), ''), 500);
        BEGIN
            IF note IS NULL AND NOT %1$I.may_publish(publish.tenant) THEN
                RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = %1$I.publish_refusal(publish.tenant),
                    HINT = format('The owner of the schema grants it: SELECT %%I.grant_publish(%%L, %%L)', %3$L, session_user, left(publish.tenant, 100));
            END IF;
            IF bytes <= 8388608 THEN
                INSERT INTO %1$I.outbox (event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at, note)
                VALUES (key::uuid, publish.tenant, publish.event_id, publish.type, publish.data, nullif(publish.occurred_at, now()),
                    publish.attributes, bytes, now(), note);
            ELSE
                INSERT INTO %1$I.outbox (event_key, tenant_id, event_id, event_type, occurred_at, bytes, created_at, note)
                VALUES (key::uuid, left(publish.tenant, 1000), left(publish.event_id, 1000), left(publish.type, 1000),
                    nullif(publish.occurred_at, now()), bytes, now(), note);
            END IF;
            -- abs: a clock that was set back must not silence it.
            IF abs(millis - (SELECT n.last_value FROM %1$I.outbox_notified n)) >= 50 THEN
                PERFORM setval(%2$L, millis);
                PERFORM pg_notify('waybill_outbox', %3$L);
            END IF;
            RETURN coalesce(publish.event_id, 'evt_' || key);
        END
        $body$
    $definition$, current_schema(), format('%I.outbox_notified', current_schema()), current_schema());

    -- publish_changes as in 00007, with no setting of its own for the note, which only a superuser may give to a function; and where the tenant is a column's and the role may not publish for it, that is noted: a change is
    -- not undone for what its row contains.
    EXECUTE format($definition$
        CREATE OR REPLACE FUNCTION publish_changes() RETURNS trigger
        LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
        SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex'
        SET xmlbinary = 'base64' SET lc_monetary = 'C' AS $body$
        DECLARE
            tenant_sql     text := quote_nullable(TG_ARGV[0]);
            data_sql       text := CASE TG_OP WHEN 'DELETE' THEN 'to_json($2)' ELSE 'to_json($1)' END;
            attributes_sql text;
            tenant         text;
            data           json;
            attributes     json;
            note           text;
        BEGIN
            IF TG_WHEN <> 'AFTER' OR TG_LEVEL <> 'ROW' OR TG_NARGS NOT BETWEEN 3 AND 4 THEN
                RAISE EXCEPTION USING ERRCODE = 'trigger_protocol_violated',
                    MESSAGE = 'publish_changes(tenant, type, attributes, data) is for AFTER ... FOR EACH ROW';
            END IF;
            IF TG_ARGV[0] ~ '^(new|old)[.]' THEN
                tenant_sql := '(' || %1$I.change_expression('tenant=' || TG_ARGV[0], TG_OP, TG_RELID, true) || ') ->> ''tenant''';
            END IF;
            IF coalesce(TG_ARGV[3], '') <> '' THEN
                data_sql := %1$I.change_expression(TG_ARGV[3], TG_OP, TG_RELID, false);
            END IF;
            attributes_sql := %1$I.change_expression(TG_ARGV[2], TG_OP, TG_RELID, true);
            BEGIN
                EXECUTE 'SELECT ' || tenant_sql || ', ' || data_sql || ', ' || attributes_sql INTO tenant, data, attributes USING NEW, OLD;
            EXCEPTION WHEN OTHERS OR assert_failure THEN
                tenant := NULL; data := NULL; attributes := NULL;
                BEGIN
                    EXECUTE 'SELECT ' || tenant_sql INTO tenant USING NEW, OLD;
                EXCEPTION WHEN OTHERS OR assert_failure THEN
                    note := 'the tenant cannot be read: ' || SQLERRM;
                END;
                BEGIN
                    EXECUTE 'SELECT ' || attributes_sql INTO attributes USING NEW, OLD;
                EXCEPTION WHEN OTHERS OR assert_failure THEN
                    note := 'the attributes cannot be read: ' || SQLERRM;
                END;
                BEGIN
                    EXECUTE 'SELECT ' || data_sql INTO data USING NEW, OLD;
                EXCEPTION WHEN OTHERS OR assert_failure THEN
                    note := 'data cannot be read: ' || SQLERRM;
                END;
            END;
            IF note IS NULL AND TG_ARGV[0] ~ '^(new|old)[.]' AND NOT %1$I.may_publish(tenant) THEN
                note := %1$I.publish_refusal(tenant);
            END IF;
            PERFORM set_config('waybill.note', left(coalesce(note, ''), 500), true);
            PERFORM %1$I.publish(tenant, TG_ARGV[1], data, attributes => attributes);
            PERFORM set_config('waybill.note', '', true);
            RETURN NULL;
        END
        $body$
    $definition$, current_schema());

    -- grant_publish lets a role publish for a tenant, '*' for all: it grants what the call itself needs, and remembers the tenant. Who
    -- calls it needs the rights of the schema's owner.
    EXECUTE format($definition$
        CREATE FUNCTION grant_publish(role text, tenant text) RETURNS void
        LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            IF grant_publish.tenant IS NULL OR grant_publish.tenant <> '*' AND grant_publish.tenant !~ '^[a-z0-9][a-z0-9-]{0,62}$' THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                    MESSAGE = 'grant_publish: the tenant is the id of one, or * for all';
            END IF;
            IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grant_publish.role) THEN
                RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('grant_publish: there is no role %%L', grant_publish.role);
            END IF;
            EXECUTE format('GRANT USAGE ON SCHEMA %%I TO %%I', %2$L, grant_publish.role);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %%1$I.publish(text, text, json, text, timestamptz, json), %%1$I.publish_changes() TO %%2$I',
                %2$L, grant_publish.role);
            INSERT INTO %1$I.publishers (role, tenant_id) VALUES (grant_publish.role, grant_publish.tenant) ON CONFLICT DO NOTHING;
        END
        $body$
    $definition$, current_schema(), current_schema());

    -- revoke_publish takes back one tenant, or with '*' the grant for all: what was granted by name stays. A role without any tenant can
    -- no longer call publish. Nothing to take back is no error.
    EXECUTE format($definition$
        CREATE FUNCTION revoke_publish(role text, tenant text) RETURNS void
        LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            DELETE FROM %1$I.publishers p WHERE p.role = revoke_publish.role AND p.tenant_id = revoke_publish.tenant;
            IF EXISTS (SELECT FROM %1$I.publishers p WHERE p.role = revoke_publish.role) OR revoke_publish.role <> 'public'
                AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = revoke_publish.role) THEN
                RETURN;
            END IF;
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %%1$I.publish(text, text, json, text, timestamptz, json), %%1$I.publish_changes() FROM %%2$s',
                %2$L, CASE revoke_publish.role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(revoke_publish.role) END);
        END
        $body$
    $definition$, current_schema(), current_schema());
END
$migration$;
-- +goose StatementEnd

-- may_publish tells a role only of itself, and publish_changes, which runs with the rights of who changes the table, calls it.
REVOKE ALL ON FUNCTION grant_publish(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION revoke_publish(text, text) FROM PUBLIC;
