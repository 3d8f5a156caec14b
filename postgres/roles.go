package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"waybill/schemas"
)

// publishRole owns what producers call, and may do nothing but write the outbox, so that a mistake in it opens nothing else. Roles are
// the whole server's: every Waybill on it shares this one.
const publishRole = "waybill_publish"

const (
	// selectPublishOwner reports whether what producers call belongs to its own role already.
	selectPublishOwner = `
		SELECT pg_get_userbyid(p.proowner) = '` + publishRole + `' FROM pg_proc p
		WHERE p.oid = 'publish(text, text, json, text, timestamptz, json)'::regprocedure`

	createPublishRole = `
		DO $$ BEGIN
			CREATE ROLE ` + publishRole + ` NOLOGIN;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
		END $$`

	// joinPublishRole lets a role that is no superuser give functions to publishRole, and change them in later migrations.
	joinPublishRole = `
		DO $$ BEGIN
			IF NOT pg_has_role(current_user, '` + publishRole + `', 'USAGE') THEN
				EXECUTE format('GRANT ` + publishRole + ` TO %I', current_user);
			END IF;
		END $$`

	// separatePublish needs CREATE on the schema for the new owner, for the moment.
	separatePublish = `
		GRANT USAGE, CREATE ON SCHEMA %[1]s TO ` + publishRole + `;
		GRANT INSERT ON outbox TO ` + publishRole + `;
		GRANT SELECT, UPDATE ON outbox_notified TO ` + publishRole + `;
		GRANT SELECT ON publishers TO ` + publishRole + `;
		ALTER FUNCTION may_publish(text) OWNER TO ` + publishRole + `;
		ALTER FUNCTION publish(text, text, json, text, timestamptz, json) OWNER TO ` + publishRole + `;
		REVOKE CREATE ON SCHEMA %[1]s FROM ` + publishRole

	// selectGrants returns the grants that the processes' role $1 needs on the tables $2 and the functions $3, which may share the
	// schema with others'.
	selectGrants = `
		SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', c.oid::regclass, $1::text)
		FROM pg_class c WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY ($2)
		UNION ALL
		SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, $1::text)
		FROM pg_proc p WHERE p.pronamespace = quote_ident(current_schema())::regnamespace AND p.proname = ANY ($3)`

	// revokeOwners takes back what is for the owner of the schema alone.
	revokeOwners = `
		GRANT USAGE ON SCHEMA %[1]s TO %[2]s;
		REVOKE INSERT, UPDATE, DELETE ON publishers, goose_db_version FROM %[2]s;
		REVOKE EXECUTE ON FUNCTION grant_publish(text, text), revoke_publish(text, text) FROM %[2]s`
)

// What the migrations create: "CREATE TABLE name" and "CREATE FUNCTION name(".
var created = regexp.MustCompile(`CREATE (?:OR REPLACE )?(TABLE|FUNCTION) ([a-z_]+)`)

// ours returns the tables and functions that the migrations create.
func ours() (tables, functions pq.StringArray, err error) {
	files, err := fs.Glob(schemas.Migrations(), "*.sql")
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		text, err := fs.ReadFile(schemas.Migrations(), file)
		if err != nil {
			return nil, nil, err
		}
		for _, found := range created.FindAllStringSubmatch(string(text), -1) {
			if found[1] == "TABLE" {
				tables = append(tables, found[2])
			} else {
				functions = append(functions, found[2])
			}
		}
	}
	return append(tables, "goose_db_version"), functions, nil
}

// separatePublisher gives what producers call to a role of its own, where the role that migrates may create one or is a member of it.
// Elsewhere, as on many a managed Postgres, the owner of the tables keeps it, which works as well and is less apart.
func separatePublisher(ctx context.Context, db *sqlx.DB, schema string, log *slog.Logger) error {
	var done bool
	if err := db.GetContext(ctx, &done, selectPublishOwner); err != nil || done {
		return err
	}
	err := inTransaction(ctx, db, lockMigration(schema), createPublishRole, joinPublishRole, fmt.Sprintf(separatePublish, pq.QuoteIdentifier(schema)))
	if pq.As(err, pqerror.InsufficientPrivilege) != nil {
		log.InfoContext(ctx, "publish stays with the owner of the tables, who may not create the role for it", "role", publishRole)
		return nil
	}
	return err
}

// Grant gives a role what the processes need, and no more: to read and write the rows of Waybill's tables, to call its functions. It
// owns nothing and publishes for every tenant. url is the owner's of the tables. It is called after each Migrate, which may create
// tables. CodeUnavailable: the database cannot be reached.
func Grant(ctx context.Context, url, schema, role string) error {
	o := Options{Schema: schema}
	o.setDefaults()
	db, err := openPool(url, o.Schema, 2, migrationSettings(migrationLockTime))
	if err != nil {
		return err
	}
	defer db.Close()
	tables, functions, err := ours()
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	grants := []string{lockMigration(o.Schema)}
	if err := db.SelectContext(ctx, &grants, selectGrants, role, tables, functions); err != nil {
		return failed("look for what a role needs", err)
	}
	grants = append(grants, fmt.Sprintf(revokeOwners, pq.QuoteIdentifier(o.Schema), pq.QuoteIdentifier(role)))
	return failed("grant a role what the processes need", inTransaction(ctx, db, grants...))
}

// lockMigration keeps out others who migrate the schema, for the rest of the transaction.
func lockMigration(schema string) string {
	return fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, lockID(schema))
}

func inTransaction(ctx context.Context, db *sqlx.DB, statements ...string) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}
