-- +goose Up
-- No index may contain a column that changes from pending to delivered, so that this update is heap-only: with status, status code and
-- error class in indexes, it wrote an entry into each of the table's indexes again, a tenth of what an express delivery costs.
--
-- The two columns are for indexes only. indexed_status is the status, and null for what is delivered, and for what is pending and was
-- neither swept by the reconciler nor opened again. failed_code is the status code of the last attempt where that failed, 0: no answer.
-- last_error_class is null from now on where it was ''.
ALTER TABLE deliveries ADD COLUMN indexed_status text, ADD COLUMN failed_code integer;

-- See 00004 for ON ONLY.
CREATE INDEX deliveries_by_indexed_status ON ONLY deliveries (tenant_id, indexed_status, id) WHERE indexed_status IS NOT NULL;
CREATE INDEX deliveries_unsent_by_endpoint ON ONLY deliveries (endpoint_id, id) WHERE indexed_status IN ('exhausted', 'canceled');
CREATE INDEX deliveries_by_failed_code ON ONLY deliveries (tenant_id, failed_code, id) WHERE failed_code IS NOT NULL;
