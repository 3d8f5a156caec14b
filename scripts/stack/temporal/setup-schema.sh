#!/bin/sh
# Creates or updates Temporal's databases; docker-compose runs it in the admin-tools image. `make run` does the same
# in Go (scripts/stack/schema.go). The tool reads address, user and password from SQL_*. Running it again is harmless.
set -eu

for pair in temporal:temporal temporal_visibility:visibility; do
  database=${pair%%:*}
  schema=${pair##*:}
  sql="temporal-sql-tool --plugin postgres12_pgx --database $database"
  $sql create-database
  # Only the table of schema versions; the update brings all the others.
  $sql setup-schema --version 0.0
  $sql update-schema --schema-name "postgresql/v12/$schema"
done
