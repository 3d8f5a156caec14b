package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"waybill/schemas"
)

// Inspection is what `waybill doctor` tells of a database.
type Inspection struct {
	// Version is the server's, in words; Number is 140000 for 14.
	Version string `db:"version"`
	Number  int    `db:"number"`
	// Silent are those of the URL's servers that let nobody in, host:port, where it names several.
	Silent []string `db:"-"`
	// Role is who is connected.
	Role      string `db:"role"`
	Superuser bool   `db:"superuser"`
	// Ahead is how far the clock of the server is ahead of this machine's, give or take Doubt.
	Ahead, Doubt time.Duration `db:"-"`
	// Closed says that the role may not use the schema, so that nothing is known of what is in it.
	Closed bool `db:"closed"`
	// Applied is the last migration that was applied, 0: none; UnknownMigration: the role may not read which. Newest is the last that this
	// build has.
	Applied, Newest int64 `db:"-"`
	// Lacks are the tables that the role may not read or write as the processes must.
	Lacks []string `db:"-"`
}

// UnknownMigration stands for the last migration where the role may not read which it is.
const UnknownMigration = -1

const (
	selectServer = `
		SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number, current_user AS role,
			(SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
			EXISTS (SELECT FROM pg_namespace WHERE nspname = $1 AND NOT has_schema_privilege(oid, 'USAGE')) AS closed`

	selectMigrated = `SELECT to_regclass('goose_db_version') IS NOT NULL`

	// selectLacks returns which of the tables $1 the role cannot use. Only the owner writes two of them.
	selectLacks = `
		SELECT c.relname FROM pg_class c
		WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = ANY ($1) AND NOT (
			has_table_privilege(c.oid, 'SELECT') AND (c.relname IN ('publishers', 'goose_db_version')
				OR has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')))
		ORDER BY c.relname`
)

// Inspect looks at a database and changes nothing. url and schema are those of Options. CodeUnavailable: the database cannot be reached.
func Inspect(ctx context.Context, url, schema string) (*Inspection, error) {
	o := Options{Schema: schema}
	o.setDefaults()
	db, err := openPool(url, o.Schema, 1, guardRails(o.Timeout))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	servers, err := openConnector(url, o.Schema, guardRails(o.Timeout))
	if err != nil {
		return nil, err
	}
	i := Inspection{Silent: servers.silent(ctx)}
	if err := db.GetContext(ctx, &i, selectServer, o.Schema); err != nil {
		return nil, failed("ask the database", err)
	}
	if i.Newest, err = newestMigration(); err != nil {
		return nil, err
	}
	var now time.Time
	began := time.Now()
	if err := db.GetContext(ctx, &now, `SELECT clock_timestamp()`); err != nil {
		return nil, failed("ask for the time", err)
	}
	i.Doubt = time.Since(began) / 2
	i.Ahead = now.Sub(began.Add(i.Doubt))
	return &i, failed("look at the tables", i.tables(ctx, db))
}

// tables looks at what the migrations made.
func (i *Inspection) tables(ctx context.Context, db *sqlx.DB) error {
	if i.Closed {
		i.Applied = UnknownMigration
		return nil
	}
	var migrated bool
	if err := db.GetContext(ctx, &migrated, selectMigrated); err != nil || !migrated {
		return err
	}
	tables, _, err := ours()
	if err != nil {
		return err
	}
	if err := db.SelectContext(ctx, &i.Lacks, selectLacks, tables); err != nil {
		return err
	}
	if slices.Contains(i.Lacks, "goose_db_version") {
		i.Applied = UnknownMigration
		return nil
	}
	return db.GetContext(ctx, &i.Applied, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`)
}

// newestMigration is the number of the last migration of this build.
func newestMigration() (int64, error) {
	files, err := fs.Glob(schemas.Migrations(), "*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	return goose.NumericComponent(path.Base(files[len(files)-1]))
}
