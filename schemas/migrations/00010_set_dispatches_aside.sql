-- +goose Up
-- An event that cannot be dispatched for its own sake is tried again with a growing delay, and is set aside after some tries.
-- Its lease then never ends, so that the claim neither finds it nor reads past it. The table has only what waits for its start,
-- the defaults are constants, and the index is empty, so none of this takes long.
ALTER TABLE dispatches
    ADD COLUMN tries        integer NOT NULL DEFAULT 0,  -- failed starts that the event is to blame for
    ADD COLUMN error        text NOT NULL DEFAULT '',    -- of the last of them
    ADD COLUMN set_aside_at timestamptz;                 -- set while lease_until is infinity

CREATE INDEX dispatches_set_aside ON dispatches (event_key) WHERE set_aside_at IS NOT NULL;
