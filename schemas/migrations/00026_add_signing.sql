-- +goose Up
-- What an endpoint chooses of how it is signed. No column has a default, so no row is rewritten.
ALTER TABLE endpoints
    ADD COLUMN signing json,        -- webhook.Signing; null: what the dialect says
    ADD COLUMN also_sign_as json;   -- webhook.AlsoSignAs; null: none
