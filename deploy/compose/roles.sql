-- The roles of docker-compose and their databases. The superuser runs it, and does nothing else afterwards:
--
--   temporal     owns Temporal's two databases and sees no other
--   waybill      owns Waybill's database and migrates it
--   waybill_app  is what Waybill's processes log in with; it owns nothing, and `waybill migrate` grants it what it needs
--
-- The passwords come from variables of the environment, so that they can hold any character. Running it again is harmless, and
-- sets the passwords anew.
\getenv temporal_password TEMPORAL_PASSWORD
\getenv owner_password WAYBILL_OWNER_PASSWORD
\getenv app_password WAYBILL_APP_PASSWORD

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['temporal', 'waybill', 'waybill_app']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE temporal LOGIN PASSWORD :'temporal_password';
ALTER ROLE waybill LOGIN PASSWORD :'owner_password';
ALTER ROLE waybill_app LOGIN PASSWORD :'app_password';

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('temporal', 'temporal'), ('temporal_visibility', 'temporal'), ('waybill', 'waybill')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec

-- By default every role may connect to every database, and make temporary tables there.
REVOKE ALL ON DATABASE temporal, temporal_visibility, waybill FROM PUBLIC;
GRANT CONNECT ON DATABASE waybill TO waybill_app;
