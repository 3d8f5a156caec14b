-- +goose Up
-- A delivery has two owners: its event's workflow while the schedule runs, and its endpoint's queue while it waits for the
-- endpoint (design, section 3). The row says which. All columns are null, or a constant default, so that no row is rewritten; and
-- none of them changes from pending to delivered. See 00004 for ON ONLY.
ALTER TABLE deliveries
    ADD COLUMN queue_due_at timestamptz,                -- the queue owns it: when it may be attempted; while leased, when the lease ends
    ADD COLUMN queue_lease  uuid,                       -- whose attempt is under way; null: nobody's
    ADD COLUMN uncounted    integer NOT NULL DEFAULT 0, -- attempts that the retry policy does not count, known while the queue owns it
    ADD COLUMN asked        boolean NOT NULL DEFAULT false, -- a person asked for the queue's next attempt
    ADD COLUMN recovery_id  uuid;                       -- the latest recovery that put it into the queue

CREATE INDEX deliveries_queued ON ONLY deliveries (endpoint_id, queue_due_at, id) WHERE queue_due_at IS NOT NULL;
-- What the queue owns and is not held, which is what a disabling has to hold; and what is held and the queue does not own, because
-- a process of an earlier version held it.
CREATE INDEX deliveries_queued_active ON ONLY deliveries (endpoint_id, queue_due_at, id) WHERE queue_due_at IS NOT NULL AND held_at IS NULL;
CREATE INDEX deliveries_held_unowned ON ONLY deliveries (id) WHERE held_at IS NOT NULL AND queue_due_at IS NULL;
CREATE INDEX deliveries_unsent ON ONLY deliveries (endpoint_id, id) WHERE status IN ('exhausted', 'canceled');
CREATE INDEX deliveries_recovered ON ONLY deliveries (recovery_id, id) WHERE recovery_id IS NOT NULL;

-- wake_due takes the place of recovery_due, which only processes of an earlier version use.
ALTER TABLE endpoints
    ADD COLUMN wake_due     boolean NOT NULL DEFAULT false, -- enabled, disabled or deleted, and its queue is to be told
    ADD COLUMN disabled_by  text NOT NULL DEFAULT '',
    ADD COLUMN auto_disable json;                       -- webhook.AutoDisable as written; null: the dialect's

UPDATE endpoints SET wake_due = true WHERE recovery_due;

CREATE INDEX endpoints_wake_due ON endpoints (id) WHERE wake_due;
