-- +goose Up
-- endpoint_streaks counts the failed attempts of an endpoint in a row. It has a row for each endpoint that ever failed. The record
-- of an attempt writes it, and only when the attempt failed or ends a streak. Tests do not count.
CREATE TABLE endpoint_streaks (
    endpoint_id     uuid PRIMARY KEY,
    tenant_id       text NOT NULL,
    failures        integer NOT NULL,      -- in a row; 0: the last attempt succeeded, or the endpoint was enabled since
    since           timestamptz,           -- the first of them; null while failures is 0
    last_failure_at timestamptz,
    last_success_at timestamptz,           -- the success that ended the latest streak
    max_failures    integer,               -- webhook.AutoDisable as of the latest failure; null: off
    max_span_ms     bigint
) WITH (fillfactor = 50);

-- delivery_stats counts attempts by endpoint, time, status code and duration. The record of attempts adds to it in the same
-- statement. Each of the record's writers, 1 and above, has rows of its own, so that none waits for another. The upkeep adds up
-- five minutes that are over under writer -1, and hours that are over for two hours under writer 0.
CREATE TABLE delivery_stats (
    endpoint_id uuid NOT NULL,
    at          timestamptz NOT NULL,      -- the begin of five minutes, or of an hour
    writer      smallint NOT NULL,
    status_code smallint NOT NULL,         -- 0: no answer
    duration    smallint NOT NULL,         -- webhook.DurationBucket; -1: counts no attempt
    tenant_id   text NOT NULL,
    attempts    bigint NOT NULL,
    delivered   bigint NOT NULL,           -- deliveries that became delivered, exhausted, canceled
    exhausted   bigint NOT NULL,
    canceled    bigint NOT NULL,
    PRIMARY KEY (endpoint_id, at, writer, status_code, duration)
) WITH (fillfactor = 50);

-- A row is in one of the three indexes by time.
CREATE INDEX delivery_stats_by_tenant ON delivery_stats (tenant_id, at) WHERE writer > 0;
CREATE INDEX delivery_stats_written ON delivery_stats (at) WHERE writer > 0;
CREATE INDEX delivery_stats_minutes ON delivery_stats (at) WHERE writer = -1;
CREATE INDEX delivery_stats_hours ON delivery_stats (at) WHERE writer = 0;

-- tenant_stats has the sums over a tenant's endpoints of what delivery_stats has under the writers -1 and 0, so that a tenant's
-- statistics do not take longer the more endpoints it has. Only the upkeep writes it.
CREATE TABLE tenant_stats (
    tenant_id   text NOT NULL,
    at          timestamptz NOT NULL,
    hours       boolean NOT NULL,          -- of an hour, not of five minutes
    status_code smallint NOT NULL,
    duration    smallint NOT NULL,
    attempts    bigint NOT NULL,
    delivered   bigint NOT NULL,
    exhausted   bigint NOT NULL,
    canceled    bigint NOT NULL,
    PRIMARY KEY (tenant_id, at, hours, status_code, duration)
) WITH (fillfactor = 50);

CREATE INDEX tenant_stats_by_time ON tenant_stats (hours, at);
