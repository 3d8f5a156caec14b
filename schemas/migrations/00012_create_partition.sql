-- +goose Up
-- A partition is created in a transaction of its own, months before it is needed, and gives up where it would have to wait for
-- a lock: while it waits, everybody who comes after waits behind it, for as long as pg_dump or a report keeps the table. It is
-- tried again a minute later.
--
-- It runs with the rights of its owner, so that the role of the processes needs not own the tables. Nothing is found by
-- search_path; see 00003.
-- +goose StatementBegin
DO $migration$
BEGIN
    -- create_partition creates the partition of a month of UTC, and reports false where another process is at it. What the
    -- default partition has of the month (a clock that was ahead, a process that was not there) is moved, up to 10,000 rows: those
    -- take no longer than the lock may. More stay where they are, and are read there as well.
    EXECUTE format($definition$
        CREATE FUNCTION create_partition(parent text, month date) RETURNS boolean
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $body$
        DECLARE
            name     text := parent || to_char(month, '_YYYY_MM');
            from_id  uuid := %1$I.uuid_floor(date_trunc('month', month::timestamp) AT TIME ZONE 'UTC');
            until_id uuid := %1$I.uuid_floor((date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC');
            most     CONSTANT integer := 10000;
            early    bigint;
        BEGIN
            IF parent IS NULL OR month IS NULL OR parent <> ALL (ARRAY['events', 'deliveries', 'attempts']) THEN
                RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'create_partition: there are no partitions of that';
            END IF;
            IF NOT pg_try_advisory_xact_lock(hashtext('waybill.ensure_partitions'), hashtext(%1$L)) THEN
                RETURN false;
            END IF;
            IF to_regclass(format('%%I.%%I', %1$L, name)) IS NOT NULL THEN
                RETURN true;
            END IF;
            EXECUTE format('SELECT count(*) FROM (SELECT FROM %%I.%%I WHERE id >= %%L AND id < %%L LIMIT %%s) AS early',
                %1$L, parent || '_default', from_id, until_id, most + 1) INTO early;
            IF early > most THEN
                RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded',
                    MESSAGE = format('%%s_default has more than %%s rows of %%s: they stay there', parent, most, to_char(month, 'YYYY-MM'));
            END IF;
            -- Deliveries are updated once or more: room in the page keeps their versions together.
            EXECUTE format('CREATE TABLE %%I.%%I (LIKE %%1$I.%%3$I INCLUDING ALL)%%4$s', %1$L, name, parent,
                CASE parent WHEN 'deliveries' THEN ' WITH (fillfactor = 80)' ELSE '' END);
            -- Readers and writers go on beside this lock of the parent. The next one stops those that touch the default partition.
            EXECUTE format('LOCK TABLE ONLY %%I.%%I IN SHARE UPDATE EXCLUSIVE MODE', %1$L, parent);
            EXECUTE format('LOCK TABLE %%I.%%I IN ACCESS EXCLUSIVE MODE', %1$L, parent || '_default');
            EXECUTE format('WITH moved AS (DELETE FROM %%1$I.%%2$I WHERE id >= %%3$L AND id < %%4$L RETURNING *) INSERT INTO %%1$I.%%5$I SELECT * FROM moved',
                %1$L, parent || '_default', from_id, until_id, name);
            EXECUTE format('ALTER TABLE %%1$I.%%2$I ATTACH PARTITION %%1$I.%%3$I FOR VALUES FROM (%%4$L) TO (%%5$L)', %1$L, parent, name, from_id, until_id);
            RETURN true;
        END
        $body$
    $definition$, current_schema());
END
$migration$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION create_partition(text, date) FROM PUBLIC;

-- ensure_partitions is what processes of an earlier version call once an hour.
CREATE OR REPLACE FUNCTION ensure_partitions() RETURNS void LANGUAGE sql AS $$
    SELECT create_partition(parent, (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n))::date)
    FROM generate_series(0, 1) AS n CROSS JOIN unnest(ARRAY['events', 'deliveries', 'attempts']) AS parent
$$;
