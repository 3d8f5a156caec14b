-- +goose Up
-- What the reconciler finds deliveries that stand still by. Both columns are null all along the way from pending to
-- delivered, so that this stays a heap-only update.
--
-- ON ONLY makes an index of the parent's catalog entry alone, which takes no time however big the table is. waybill migrate
-- then builds the index of each partition, without stopping writers where that would take long, and attaches it; see
-- finishIndexes. Partitions that are created from now on have it from the start.
CREATE INDEX deliveries_due ON ONLY deliveries (next_attempt_at, id) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX deliveries_held_since ON ONLY deliveries (held_at, id) WHERE held_at IS NOT NULL;

-- reconciler_lease says which process reconciles. It has one row.
CREATE TABLE reconciler_lease (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    holder      uuid,                      -- null: nobody ever did
    lease_until timestamptz NOT NULL
);

INSERT INTO reconciler_lease (lease_until) VALUES (now());

-- reconciler_sweeps says how far deliveries were looked at that may be pending without a workflow, by id, which is by
-- time. One sweep follows close behind the clock, the other an hour later: for rows that were committed with an old id.
CREATE TABLE reconciler_sweeps (
    behind   interval PRIMARY KEY,
    position uuid NOT NULL                 -- the delivery that was looked at last
);

INSERT INTO reconciler_sweeps (behind, position)
VALUES ('0', '00000000-0000-0000-0000-000000000000'), ('1 hour', '00000000-0000-0000-0000-000000000000');
