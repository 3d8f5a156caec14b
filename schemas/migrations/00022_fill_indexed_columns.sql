-- +goose NO TRANSACTION
-- +goose Up
-- Page by page, each its own transaction, so that a record waits for one page at most. Run again, it begins anew and changes nothing twice.
-- +goose StatementBegin
DO $migration$
DECLARE
    place uuid := '00000000-0000-0000-0000-000000000000';
    last  uuid;
BEGIN
    LOOP
        SELECT id INTO last FROM (SELECT id FROM deliveries WHERE id > place ORDER BY id LIMIT 10000) AS page ORDER BY id DESC LIMIT 1;
        EXIT WHEN last IS NULL;
        UPDATE deliveries SET indexed_status = CASE WHEN status <> 'delivered' THEN status END,
            failed_code = CASE WHEN last_error_class <> '' THEN last_status_code END
        WHERE id > place AND id <= last AND (status <> 'delivered' OR last_error_class <> '');
        COMMIT;
        place := last;
    END LOOP;
END
$migration$;
-- +goose StatementEnd
