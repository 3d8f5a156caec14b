-- +goose Up
-- Retention drops the partitions of months that are over for longer than the data is kept (WAYBILL_RETENTION). Columns are null, so that
-- no row is rewritten.
ALTER TABLE events ADD COLUMN erased_at timestamptz;    -- body, attributes and metadata were erased; null: they were not
ALTER TABLE tenants ADD COLUMN retention_ms bigint;     -- bodies and answers are erased when they are older; null: they go with their month

-- body_retention says how far the events of a tenant with a retention of its own were looked at.
CREATE TABLE body_retention (
    tenant_id text PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    position  uuid NOT NULL,               -- the event that was looked at last
    began_at  timestamptz NOT NULL         -- when it began with the oldest: once a day, for what was unsettled
);

-- It runs with the rights of its owner, so that the role of the processes needs not own the tables. Nothing is found by search_path;
-- see 00003.
-- +goose StatementBegin
DO $migration$
BEGIN
    -- drop_partition drops the partition of a month of UTC, and reports how many of its rows are kept: null where another process is
    -- at it. What is unsettled, with its event and its attempts, is moved to the default partition: up to 3,000 rows, which take no
    -- longer than the lock may. With more the partition stays.
    --
    -- A partition cannot be detached concurrently where there is a default one, so everybody who uses the table waits while the rows are
    -- moved. Whoever holds up the lock itself, such as a dump, is waited for 250 ms. The files are deleted after the locks are released.
    --
    -- An unsettled delivery is told by the columns that are null once it is settled, each with a partial index; one that is pending
    -- and was never attempted has them after the reconciler has looked at it. The id of a delivery may be 5 minutes off its event's.
    EXECUTE format($definition$
        CREATE FUNCTION drop_partition(parent text, month date) RETURNS bigint
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms'
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $body$
        DECLARE
            name      text := parent || to_char(month, '_YYYY_MM');
            over_at   timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
            from_id   uuid := %1$I.uuid_floor(date_trunc('month', month::timestamp) AT TIME ZONE 'UTC');
            until_id  uuid := %1$I.uuid_floor(over_at);
            slack_id  uuid := %1$I.uuid_floor(over_at + interval '5 minutes');
            most      CONSTANT integer := 3000;
            unsettled text;
            keep      text;
            kept      bigint;
            unswept   boolean;
        BEGIN
            IF parent IS NULL OR month IS NULL OR parent <> ALL (ARRAY['events', 'deliveries', 'attempts']) THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'drop_partition: there are no partitions of that';
            END IF;
            IF over_at > now() - interval '1 hour' THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'drop_partition: the month is not over';
            END IF;
            IF NOT pg_try_advisory_xact_lock(hashtext('waybill.ensure_partitions'), hashtext(%1$L)) THEN
                RETURN NULL;
            END IF;
            IF to_regclass(format('%%I.%%I', %1$L, name)) IS NULL THEN
                RETURN 0;
            END IF;
            SELECT EXISTS (SELECT FROM %1$I.deliveries d WHERE d.id >= from_id AND d.id < until_id
                AND d.id > (SELECT s.position FROM %1$I.reconciler_sweeps s ORDER BY s.position LIMIT 1)) INTO unswept;
            IF unswept THEN
                RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                    MESSAGE = format('%%s stays until the reconciler has looked at the deliveries of its month', name);
            END IF;
            unsettled := format('SELECT %%3$s AS key FROM %%1$I.deliveries d WHERE d.next_attempt_at IS NOT NULL AND d.id < %%2$L
                UNION SELECT %%3$s FROM %%1$I.deliveries d WHERE d.held_at IS NOT NULL AND d.id < %%2$L
                UNION SELECT %%3$s FROM %%1$I.deliveries d WHERE d.queue_due_at IS NOT NULL AND d.id < %%2$L',
                %1$L, slack_id, CASE parent WHEN 'events' THEN 'd.event_key' ELSE 'd.id' END);
            -- Of deliveries the partition itself is read, which is detached by then.
            IF parent = 'deliveries' THEN
                unsettled := replace(unsettled, format('%%I.deliveries', %1$L), format('%%I.%%I', %1$L, name));
            END IF;
            keep := format('SELECT p.* FROM (%%s) AS u JOIN %%I.%%I p ON p.%%I = u.key LIMIT %%s',
                unsettled, %1$L, name, CASE parent WHEN 'attempts' THEN 'delivery_id' ELSE 'id' END, most + 1);
            EXECUTE 'SELECT count(*) FROM (' || keep || ') AS kept' INTO kept;
            IF kept <= most THEN
                EXECUTE format('LOCK TABLE ONLY %%I.%%I IN ACCESS EXCLUSIVE MODE', %1$L, parent);
                EXECUTE format('ALTER TABLE %%1$I.%%2$I DETACH PARTITION %%1$I.%%3$I', %1$L, parent, name);
                EXECUTE format('INSERT INTO %%I.%%I %%s', %1$L, parent, keep);
                GET DIAGNOSTICS kept = ROW_COUNT;
            END IF;
            IF kept > most THEN
                RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded',
                    MESSAGE = format('%%s stays: more than %%s of its rows belong to deliveries that are not settled', name, most);
            END IF;
            EXECUTE format('DROP TABLE %%I.%%I', %1$L, name);
            RETURN kept;
        END
        $body$
    $definition$, current_schema());
END
$migration$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION drop_partition(text, date) FROM PUBLIC;
