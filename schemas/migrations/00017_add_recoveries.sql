-- +goose Up
-- A recovery puts what an endpoint missed into the endpoint's queue, a page at a time. Its position is written with the page, so
-- that it goes on where it was after any crash.
CREATE TABLE recoveries (
    id          uuid PRIMARY KEY,
    tenant_id   text NOT NULL,
    endpoint_id uuid NOT NULL,
    since       timestamptz NOT NULL,      -- of publication: since <= created < until
    until       timestamptz NOT NULL,
    statuses    text[] NOT NULL,
    event_types text[] NOT NULL,           -- patterns as in endpoints.event_types; empty: all
    missed      boolean NOT NULL,
    rate        integer,                   -- deliveries a second; null: the queue's own pace
    reason      text NOT NULL DEFAULT '',
    status      text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'canceled')),
    matched     bigint NOT NULL,
    sent        bigint NOT NULL DEFAULT 0, -- put into the queue so far, and not taken out again
    -- What it looks through: settled deliveries, then events that were missed. done: it waits for what it sent to be attempted;
    -- withdrawing: it was canceled, and what nobody attempted is taken out of the queue; ended.
    phase       text NOT NULL CHECK (phase IN ('settled', 'missed', 'done', 'withdrawing', 'ended')),
    position    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000', -- the last delivery, or event, that was looked at
    page_at     timestamptz NOT NULL,      -- when the next page may be put into the queue
    delivered   bigint,                    -- final counts, once it has ended
    failed      bigint,
    created_at  timestamptz NOT NULL,
    finished_at timestamptz
);

CREATE UNIQUE INDEX recoveries_running ON recoveries (endpoint_id) WHERE status = 'running';
CREATE INDEX recoveries_open ON recoveries (endpoint_id) WHERE phase <> 'ended';
CREATE INDEX recoveries_by_tenant ON recoveries (tenant_id, id);
