#!/bin/sh
# Creates or updates the tables of Temporal's databases; docker-compose runs it in the admin-tools image. `make run` does the same
# in Go (scripts/stack/schema.go). The databases have to be there, owned by the role that this logs in with, which then needs no
# other right. The tool reads address, user and password from SQL_*. Running it again is harmless.
set -eu

for pair in temporal:temporal temporal_visibility:visibility; do
  database=${pair%%:*}
  schema=${pair##*:}
  sql="temporal-sql-tool --plugin postgres12_pgx --database $database"
  # Only the table of schema versions; the update brings all the others.
  $sql setup-schema --version 0.0
  $sql update-schema --schema-name "postgresql/v12/$schema"
done
