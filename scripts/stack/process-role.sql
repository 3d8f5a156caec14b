-- The role of Waybill's processes in docker-compose, with the password of the variable APP_PASSWORD: it logs in and owns nothing.
-- `waybill migrate` grants it what it needs. Running it again is harmless.
\getenv password APP_PASSWORD
SELECT 'CREATE ROLE waybill_app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'waybill_app') \gexec
ALTER ROLE waybill_app LOGIN PASSWORD :'password';
