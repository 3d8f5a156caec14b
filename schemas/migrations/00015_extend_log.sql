-- +goose Up
-- A line of the log is one row. Null or constant defaults: no row is rewritten. See 00004 for ON ONLY.
ALTER TABLE deliveries
    ADD COLUMN test             boolean NOT NULL DEFAULT false, -- of an endpoint's test: one attempt, in no statistics
    ADD COLUMN last_attempt_at  timestamptz,           -- when the last attempt started; null: none was made
    ADD COLUMN last_duration_ms bigint,
    ADD COLUMN last_status_code integer,               -- 0: no answer
    ADD COLUMN last_error_class text,                  -- '': none
    ADD COLUMN last_error       text;

ALTER TABLE attempts ADD COLUMN url text NOT NULL DEFAULT '';  -- where it was sent; '': recorded by an earlier version

ALTER TABLE events
    ADD COLUMN test     boolean NOT NULL DEFAULT false,
    ADD COLUMN metadata json;                          -- {"name": "value"}; null: none

-- Most deliveries end with 200 and without an error, and have no entry in these.
CREATE INDEX deliveries_by_code ON ONLY deliveries (tenant_id, last_status_code, id) WHERE last_status_code <> 200;
CREATE INDEX deliveries_by_error ON ONLY deliveries (tenant_id, last_error_class, id) WHERE last_error_class <> '';
CREATE INDEX deliveries_tests ON ONLY deliveries (tenant_id, id) WHERE test;
CREATE INDEX events_by_tenant ON ONLY events (tenant_id, id);
CREATE INDEX events_by_type ON ONLY events (tenant_id, event_type, id);
CREATE INDEX events_tests ON ONLY events (tenant_id, id) WHERE test;
