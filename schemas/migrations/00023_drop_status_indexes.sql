-- +goose Up
DROP INDEX deliveries_by_status;
DROP INDEX deliveries_unsent;
DROP INDEX deliveries_by_code;
