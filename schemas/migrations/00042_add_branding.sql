-- +goose Up
-- How a tenant's portal looks. No default, so that no row is rewritten.
ALTER TABLE tenants ADD COLUMN branding json; -- {"logo_url": ..., "accent_color": ...}; null: none
