-- +goose Up
-- The trace that an event is in, as W3C Trace Context writes it (webhook.Traceparent). The columns are catalog entries alone: no default, so
-- that no row is rewritten. Who waits for the tables is waited for 3 s at most: see Migrate.
ALTER TABLE events ADD COLUMN traceparent text;            -- null: in no trace
ALTER TABLE outbox ADD COLUMN traceparent text;            -- as the producer's transaction set it, unchecked; null: not set
ALTER TABLE outbox_quarantine ADD COLUMN traceparent text;

-- +goose StatementBegin
DO $migration$
BEGIN
    -- publish as in 00035; and it keeps the setting waybill.traceparent, which the producer's transaction may have, up to a length that no
    -- traceparent exceeds. What is malformed in it is found when the row is ingested, and ignored.
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
            trace  text := left(nullif(current_setting('waybill.traceparent', true), ''), 100);
        BEGIN
            IF NOT %1$I.may_publish(publish.tenant) THEN
                IF note IS NULL THEN
                    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = %1$I.publish_refusal(publish.tenant),
                        HINT = format('The owner of the schema grants it: SELECT %%I.grant_publish(%%L, %%L)', %3$L, session_user, left(publish.tenant, 100));
                END IF;
                note := %1$I.publish_refusal(publish.tenant);
            END IF;
            IF bytes <= 8388608 THEN
                INSERT INTO %1$I.outbox (event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at, note, traceparent)
                VALUES (key::uuid, publish.tenant, publish.event_id, publish.type, publish.data, nullif(publish.occurred_at, now()),
                    publish.attributes, bytes, now(), note, trace);
            ELSE
                INSERT INTO %1$I.outbox (event_key, tenant_id, event_id, event_type, occurred_at, bytes, created_at, note, traceparent)
                VALUES (key::uuid, left(publish.tenant, 1000), left(publish.event_id, 1000), left(publish.type, 1000),
                    nullif(publish.occurred_at, now()), bytes, now(), note, trace);
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
END
$migration$;
-- +goose StatementEnd
