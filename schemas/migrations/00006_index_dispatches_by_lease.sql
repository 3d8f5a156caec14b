-- +goose Up
-- Events whose endpoints are slow wait here with a lease in the future: the relay must not read past thousands of them each
-- time. The table has what waits for its start only, so the index is built at once.
CREATE INDEX dispatches_by_lease ON dispatches (lease_until);
