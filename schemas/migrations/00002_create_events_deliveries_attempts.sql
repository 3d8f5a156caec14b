-- +goose Up
-- events, deliveries and attempts are partitioned by their UUIDv7, that is, by time: retention drops a partition and
-- never deletes a row. There are no foreign keys between them: a partition can then be dropped at once.

CREATE TABLE events (
    id             uuid NOT NULL,          -- webhook.EventKey
    tenant_id      text NOT NULL,
    event_id       text NOT NULL,          -- the id callers know
    event_type     text NOT NULL,
    occurred_at    timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    attributes     json,                   -- {"name": "value"}; null: none
    body           bytea NOT NULL,         -- rendered once; every attempt sends these bytes
    delivery_id_at integer NOT NULL,       -- where the delivery's UUID is spliced into body; -1: nowhere
    data_from      integer NOT NULL,       -- data as published is body[data_from:data_to]
    data_to        integer NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE TABLE deliveries (
    id              uuid NOT NULL,
    tenant_id       text NOT NULL,
    event_key       uuid NOT NULL,
    event_id        text NOT NULL,
    event_type      text NOT NULL,
    endpoint_id     uuid NOT NULL,
    status          text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'retrying', 'held', 'delivered', 'exhausted', 'canceled')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    held_at         timestamptz,           -- set while held
    failed_at       timestamptz,           -- when the first attempt failed
    reason          text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX deliveries_by_event ON deliveries (event_key);
CREATE INDEX deliveries_by_tenant ON deliveries (tenant_id, id);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, id);
-- The two partial indexes never see a delivery that succeeds at once, and their columns do not change on that path,
-- so that pending -> delivered stays a heap-only update.
CREATE INDEX deliveries_held ON deliveries (endpoint_id, id) WHERE held_at IS NOT NULL;
CREATE INDEX deliveries_failed ON deliveries (tenant_id, id) WHERE failed_at IS NOT NULL;

CREATE TABLE attempts (
    id                 uuid NOT NULL,
    delivery_id        uuid NOT NULL,
    number             integer NOT NULL,
    started_at         timestamptz NOT NULL,
    duration_ms        bigint NOT NULL,
    status_code        integer NOT NULL,   -- 0: no answer
    outcome            text NOT NULL,
    error_class        text NOT NULL,
    error              text NOT NULL,
    request_headers    json NOT NULL,      -- secrets redacted
    response_headers   json NOT NULL,
    response_body      bytea NOT NULL,     -- at most 16 KiB
    response_truncated boolean NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX attempts_by_delivery ON attempts (delivery_id, number);

-- event_keys makes the ids that callers chose unique within their tenant, which no index over partitions could.
CREATE TABLE event_keys (
    tenant_id text NOT NULL,
    event_id  text NOT NULL,
    event_key uuid NOT NULL,
    digest    bytea NOT NULL,              -- of what was asked for, to tell a repetition from a conflict
    PRIMARY KEY (tenant_id, event_id)
);

-- dispatches holds the events whose workflow is not known to have started. A row is written with its event and deleted
-- after the start; until lease_until it is somebody's, after that the relay's.
CREATE TABLE dispatches (
    event_key   uuid PRIMARY KEY,
    lease_until timestamptz NOT NULL
);

-- uuid_floor returns the least UUIDv7 of a moment (RFC 9562, section 5.7: 48 bits of Unix milliseconds first).
-- +goose StatementBegin
CREATE FUNCTION uuid_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
-- +goose StatementEnd

-- ensure_partitions creates the partitions of this month and of the next. It runs with every migration and once an hour.
-- A partition is filled with what the default partition has of its month (a clock that was ahead, a process that was not
-- there) and then attached, which stops readers and writers of the default partition only.
-- +goose StatementBegin
CREATE FUNCTION ensure_partitions() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent   text;
    month    timestamp; -- of UTC, whatever the session's time zone
    name     text;
    from_id  uuid;
    until_id uuid;
    storage  text;
BEGIN
    -- Two callers at once would both try to create the same partition.
    PERFORM pg_advisory_xact_lock(hashtext('waybill.ensure_partitions'), hashtext(current_schema()));
    FOR months_ahead IN 0..1 LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => months_ahead);
        from_id := uuid_floor(month AT TIME ZONE 'UTC');
        until_id := uuid_floor((month + interval '1 month') AT TIME ZONE 'UTC');
        FOREACH parent IN ARRAY ARRAY['events', 'deliveries', 'attempts'] LOOP
            name := parent || to_char(month, '_YYYY_MM');
            CONTINUE WHEN to_regclass(format('%I.%I', current_schema(), name)) IS NOT NULL;
            -- Deliveries are updated once or more: room in the page keeps those updates heap-only.
            storage := CASE parent WHEN 'deliveries' THEN ' WITH (fillfactor = 80)' ELSE '' END;
            EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL)%s', current_schema(), name, current_schema(), parent, storage);
            EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', current_schema(), parent || '_default');
            EXECUTE format('WITH moved AS (DELETE FROM %I.%I WHERE id >= %L AND id < %L RETURNING *) INSERT INTO %I.%I SELECT * FROM moved',
                current_schema(), parent || '_default', from_id, until_id, current_schema(), name);
            EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                current_schema(), parent, current_schema(), name, from_id, until_id);
        END LOOP;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- The default partitions take what no month covers, so that a stopped clock or a missed hour never refuses an event.
CREATE TABLE events_default PARTITION OF events DEFAULT;
CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT WITH (fillfactor = 80);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

SELECT ensure_partitions();
