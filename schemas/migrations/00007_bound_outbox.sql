-- +goose Up
-- Nothing that a row contains may undo the producer's transaction, and nothing that a producer writes may fill the database.
-- The tables are altered in their catalog entries alone. Who waits for them is waited for 3 s at most: see Migrate.

ALTER TABLE outbox ADD COLUMN note text;   -- why the row cannot become an event, where the producer's side knows it; null: unknown
ALTER TABLE outbox_quarantine ADD COLUMN note text,
    ADD COLUMN cut boolean NOT NULL DEFAULT false; -- its texts are not all there, so that it cannot be put back

-- The functions find nothing by search_path: see 00003.
-- +goose StatementBegin
DO $migration$
BEGIN
    -- publish as in 00003; and what exceeds 8 MiB, far more than an event may have, is not stored: its size is, and it ends
    -- in quarantine. So does what has a note: publish_changes leaves one in the setting waybill.note.
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

    -- publish_changes as in 00003, with these differences. A column is read by itself, so that only what is named can be
    -- unreadable. What cannot be read, a text with \u0000 or a cast that raises an error, is left out and noted: the change is not
    -- undone. And every value is written in one way, whatever the session's time zone and formats are.
    --
    -- The block with the exception writes nothing, so that a transaction of many rows has no subtransaction for each.
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
                PERFORM set_config('waybill.note', left(coalesce(note, ''), 500), true);
            END;
            PERFORM %1$I.publish(tenant, TG_ARGV[1], data, attributes => attributes);
            RETURN NULL;
        END
        $body$
    $definition$, current_schema());
END
$migration$;
-- +goose StatementEnd

-- change_expression makes a list such as 'name=new.column, column' the SQL of a JSON object of the rows $1, new, and $2, old:
-- with the values as they are, or as text and without those that are null. It takes the place of changed_columns, which stays
-- for calls that are under way.
-- +goose StatementBegin
CREATE FUNCTION change_expression(list text, op text, relation oid, as_text boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    item    text;
    found   text[];
    side    text;
    value   text;
    members text[] := '{}';
BEGIN
    FOREACH item IN ARRAY regexp_split_to_array(btrim(list, E' \t\r\n'), '\s*,\s*') LOOP
        CONTINUE WHEN item = '';
        found := regexp_match(item, '^(?:([^=]*?)\s*=\s*)?(?:(new|old)[.])?([^=]+)$');
        side := coalesce(found[2], CASE op WHEN 'DELETE' THEN 'old' ELSE 'new' END);
        IF found IS NULL OR side = 'new' AND op = 'DELETE' OR side = 'old' AND op = 'INSERT'
            OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = found[3] AND a.attnum > 0 AND NOT a.attisdropped) THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = 'publish_changes: the changed row has no column "' || item || '"';
        END IF;
        value := format('to_json((%s).%I)', CASE side WHEN 'new' THEN '$1' ELSE '$2' END, found[3]);
        value := CASE WHEN as_text THEN format('to_json(%s #>> ''{}'')::text', value) ELSE format('coalesce(%s::text, ''null'')', value) END;
        members := members || format('%L || %s', to_json(coalesce(found[1], found[3]))::text || ':', value);
    END LOOP;
    RETURN '(''{'' || array_to_string(ARRAY[' || array_to_string(members, ', ') || ']::text[], '','') || ''}'')::json';
END
$body$;
-- +goose StatementEnd
