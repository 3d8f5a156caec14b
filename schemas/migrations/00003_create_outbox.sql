-- +goose Up
-- A producer publishes events in its own transaction with publish(), and Waybill ingests what was committed. Text that a
-- producer gave is kept as it was given, wrong or not: it must never break the producer's transaction.

CREATE TABLE outbox (
    position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of publication
    event_key   uuid NOT NULL,             -- webhook.EventKey of the event to be
    tenant_id   text,
    event_id    text,                      -- null: the id is made of event_key
    event_type  text,
    data        json,                      -- json keeps the text as written; jsonb would not
    occurred_at timestamptz,               -- null: not given, it is created_at
    attributes  json,
    bytes       bigint NOT NULL,           -- of all texts, so that nobody has to read a large row to know
    created_at  timestamptz NOT NULL       -- when the producer's transaction began
);

-- outbox_quarantine has the rows that cannot become events, for a person to look at.
CREATE TABLE outbox_quarantine (
    LIKE outbox,
    code           text NOT NULL,          -- webhook.Code, as the API would have answered
    reason         text NOT NULL,
    errors         json,                   -- [{"field": "", "detail": ""}] as in a problem document; null: none
    quarantined_at timestamptz NOT NULL,
    PRIMARY KEY (position)
);

-- outbox_notified says when the ingesters were last notified, in Unix milliseconds. A sequence, because it is written
-- outside of transactions: producers never wait for each other's.
CREATE SEQUENCE outbox_notified MINVALUE 0 START 0;

-- The functions find nothing by search_path: not the caller's own tables, functions or operators of the same name, and
-- not those of a public schema where everybody may create. Hence pg_catalog alone, pg_temp last, and our schema written out.
-- +goose StatementBegin
DO $migration$
BEGIN
    -- publish runs with the rights of its owner, so that its caller needs none but EXECUTE. It takes nothing but values, so
    -- that no code of the caller's ever runs with those rights.
    --
    -- The id is a UUIDv7 of the moment (RFC 9562, section 6.2, method 3: twelve more bits of clock follow the
    -- milliseconds). A moment that equals now() is the default, so not given.
    --
    -- NOTIFY holds a lock of the whole server during the commit, so it is spared: a transaction sends one at most, and all
    -- together one in 50 ms. It only wakes; polling finds the rest.
    EXECUTE format($definition$
        CREATE FUNCTION publish(tenant text, type text, data json, event_id text DEFAULT NULL,
            occurred_at timestamptz DEFAULT now(), attributes json DEFAULT NULL) RETURNS text
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            micros bigint := extract(epoch FROM clock_timestamp()) * 1000000;
            millis bigint := micros / 1000;
            key    text := lpad(to_hex(millis), 12, '0') || '7' || lpad(to_hex(mod(micros, 1000) * 4096 / 1000), 3, '0')
                || substr(replace(gen_random_uuid()::text, '-', ''), 17);
        BEGIN
            INSERT INTO %1$I.outbox (event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at)
            VALUES (key::uuid, publish.tenant, publish.event_id, publish.type, publish.data, nullif(publish.occurred_at, now()),
                publish.attributes,
                coalesce(octet_length(publish.tenant), 0)::bigint + coalesce(octet_length(publish.event_id), 0)
                    + coalesce(octet_length(publish.type), 0) + coalesce(octet_length(publish.data::text), 0)
                    + coalesce(octet_length(publish.attributes::text), 0),
                now());
            -- abs: a clock that was set back must not silence it.
            IF abs(millis - (SELECT n.last_value FROM %1$I.outbox_notified n)) >= 50 THEN
                PERFORM setval(%2$L, millis);
                PERFORM pg_notify('waybill_outbox', %3$L);
            END IF;
            RETURN coalesce(publish.event_id, 'evt_' || key);
        END
        $body$
    $definition$, current_schema(), format('%I.outbox_notified', current_schema()), current_schema());

    -- publish_changes is for a trigger of a producer's own table: AFTER ... FOR EACH ROW. Its arguments:
    --   1. the tenant: its id, or the column that has it, as new.column or old.column
    --   2. the event type
    --   3. the attributes, 'name=new.column, ...'; '' for none. A null is left out.
    --   4. the members of data, likewise, in their order; '' or left out: the whole row.
    -- A column without new. or old. is the new row's (the old one's of a DELETE), and a column without a name keeps its own.
    --
    -- It runs with the rights of who changes the table, who therefore needs EXECUTE on publish: to_json calls casts that
    -- the owner of a column's type has made. It raises an error where the arguments do not fit the table: the change is
    -- undone rather than unreported.
    EXECUTE format($definition$
        CREATE FUNCTION publish_changes() RETURNS trigger
        LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $body$
        DECLARE
            new_row json;
            old_row json;
            tenant  text := TG_ARGV[0];
            data    json;
        BEGIN
            IF TG_WHEN <> 'AFTER' OR TG_LEVEL <> 'ROW' OR TG_NARGS NOT BETWEEN 3 AND 4 THEN
                RAISE EXCEPTION USING ERRCODE = 'trigger_protocol_violated',
                    MESSAGE = 'publish_changes(tenant, type, attributes, data) is for AFTER ... FOR EACH ROW';
            END IF;
            IF TG_OP <> 'DELETE' THEN new_row := to_json(NEW); END IF;
            IF TG_OP <> 'INSERT' THEN old_row := to_json(OLD); END IF;
            IF tenant ~ '^(new|old)[.]' THEN
                tenant := %1$I.changed_columns('tenant=' || tenant, new_row, old_row, true) ->> 'tenant';
            END IF;
            IF coalesce(TG_ARGV[3], '') = '' THEN
                data := coalesce(new_row, old_row);
            ELSE
                data := %1$I.changed_columns(TG_ARGV[3], new_row, old_row, false);
            END IF;
            PERFORM %1$I.publish(tenant, TG_ARGV[1], data, attributes => %1$I.changed_columns(TG_ARGV[2], new_row, old_row, true));
            RETURN NULL;
        END
        $body$
    $definition$, current_schema());
END
$migration$;
-- +goose StatementEnd

-- changed_columns makes a JSON object of a list such as 'name=new.column, column': with the values as they are, or as text
-- and without those that are null.
-- +goose StatementBegin
CREATE FUNCTION changed_columns(list text, new_row json, old_row json, as_text boolean) RETURNS json
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    item    text;
    parts   text[];
    value   json;
    members text[] := '{}';
BEGIN
    FOREACH item IN ARRAY regexp_split_to_array(btrim(list, E' \t\r\n'), '\s*,\s*') LOOP
        CONTINUE WHEN item = '';
        parts := regexp_match(item, '^(?:([^=]*?)\s*=\s*)?(?:(new|old)[.])?([^=]+)$');
        value := CASE coalesce(parts[2], CASE WHEN new_row IS NULL THEN 'old' ELSE 'new' END)
            WHEN 'new' THEN new_row -> parts[3] ELSE old_row -> parts[3] END;
        IF value IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = 'publish_changes: the changed row has no column "' || item || '"';
        END IF;
        IF as_text THEN
            value := to_json(value #>> '{}');
            CONTINUE WHEN value IS NULL;
        END IF;
        members := members || (to_json(coalesce(parts[1], parts[3]))::text || ':' || value::text);
    END LOOP;
    RETURN ('{' || array_to_string(members, ',') || '}')::json;
END
$body$;
-- +goose StatementEnd

-- Nobody may use them who was not told so: GRANT USAGE ON SCHEMA, GRANT EXECUTE ON FUNCTION.
REVOKE ALL ON FUNCTION publish(text, text, json, text, timestamptz, json) FROM PUBLIC;
REVOKE ALL ON FUNCTION publish_changes() FROM PUBLIC;
