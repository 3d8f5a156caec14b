-- +goose Up

-- Keys that end, know who made them and when they were last used, and work from some addresses only. The table is small, and no
-- column's default rewrites it.

ALTER TABLE api_keys
    ADD COLUMN expires_at   timestamptz,                     -- it is refused from then on
    ADD COLUMN last_used_at timestamptz,                     -- written at most once a minute
    ADD COLUMN created_by   text NOT NULL DEFAULT '',        -- "admin", "admin:<name>" or the id of a key; '': made before this was kept
    ADD COLUMN allow_cidrs  cidr[] NOT NULL DEFAULT '{}';    -- where it may be used from; empty: anywhere
