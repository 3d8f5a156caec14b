-- +goose Up
ALTER TABLE tenants ADD COLUMN erased_at timestamptz;   -- it is being erased, and nothing finds it any more; null: it is not

-- erased_events are looked at again for some minutes: an attempt that was under way may still have recorded an answer.
CREATE TABLE erased_events (
    event_key uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL
);

-- erasures of tenants. A row stays, so that somebody who asks later learns that it was done.
CREATE TABLE erasures (
    tenant_id   text PRIMARY KEY,
    rows        bigint NOT NULL DEFAULT 0, -- deleted so far
    started_at  timestamptz NOT NULL,
    finished_at timestamptz                -- null: it goes on
);

CREATE INDEX erasures_open ON erasures (tenant_id) WHERE finished_at IS NULL;
