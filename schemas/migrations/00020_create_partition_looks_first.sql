-- +goose Up
-- A partition that exists needs no lock: whoever asked for it while another one was being created was told that somebody is at it.
-- +goose StatementBegin
DO $migration$
BEGIN
    -- create_partition as in 00012; and where the partition exists it reports so without the lock, which a caller that creates
    -- another partition may hold.
    EXECUTE format($definition$
        CREATE OR REPLACE FUNCTION create_partition(parent text, month date) RETURNS boolean
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
            IF to_regclass(format('%%I.%%I', %1$L, name)) IS NOT NULL THEN
                RETURN true;
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
