-- +goose Up
-- What waits for a next attempt, by endpoint: a deleted endpoint's deliveries are canceled at once, and are looked for without
-- reading all that the endpoint ever got. See 00004 for ON ONLY. The column is null all along the way from pending to delivered, so
-- a delivery that succeeds at once is never in it.
CREATE INDEX deliveries_waiting ON ONLY deliveries (endpoint_id, id) WHERE next_attempt_at IS NOT NULL;
