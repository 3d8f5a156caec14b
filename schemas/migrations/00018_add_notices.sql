-- +goose Up
-- endpoint_notices gathers what the tenant's contact is to be told of an endpoint. It is written in the transaction that it
-- reports; a workflow per endpoint sends the mail. A row is deleted when nobody is to be told.
CREATE TABLE endpoint_notices (
    endpoint_id     uuid PRIMARY KEY,
    tenant_id       text NOT NULL,
    due             boolean NOT NULL,              -- something is to be told
    exhausted       bigint NOT NULL DEFAULT 0,     -- deliveries exhausted since the last mail
    since           timestamptz,                   -- the first of them, or when the endpoint was disabled
    last_error      text NOT NULL DEFAULT '',
    last_at         timestamptz,                   -- when that was
    disabled_at     timestamptz,                   -- disabled since the last mail; null: not
    disabled_reason text NOT NULL DEFAULT '',
    sent_at         timestamptz,                   -- the last mail about trouble; null: none
    in_trouble      boolean NOT NULL DEFAULT false,-- such a mail was sent, and none that it is over
    working_at      timestamptz,                   -- the first success since; null: none
    mails           bigint NOT NULL DEFAULT 0,     -- how many were sent; who marks one as sent has read the row with this number
    wake_at         timestamptz NOT NULL DEFAULT now() -- until then a workflow sees to what is due
) WITH (fillfactor = 50);

CREATE INDEX endpoint_notices_due ON endpoint_notices (wake_at) WHERE due;
CREATE INDEX endpoint_notices_in_trouble ON endpoint_notices (endpoint_id) WHERE in_trouble;
