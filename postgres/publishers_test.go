package postgres_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
)

// login makes a role that may do nothing, and a connection that it logged in with.
func (b *bundle) login(name string) (string, *sqlx.DB) {
	b.t.Helper()
	name += "_" + b.Schema()
	b.exec(`CREATE ROLE ` + pq.QuoteIdentifier(name) + ` LOGIN PASSWORD 'sesame'`)
	db, err := sqlx.Open("postgres", postgrestest.URLAs(b.t, name, "sesame", "of "+b.Schema()))
	require.NoError(b.t, err)
	db.SetMaxOpenConns(1)
	b.t.Cleanup(func() {
		require.NoError(b.t, db.Close())
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, query := range []string{`DROP OWNED BY `, `DROP ROLE `} {
			_, err := b.db.ExecContext(ctx, query+pq.QuoteIdentifier(name))
			require.NoError(b.t, err)
		}
	})
	return name, db
}

// publishes calls publish for each tenant and returns for which of them that is allowed.
func (b *bundle) publishes(db *sqlx.DB, tenants ...string) (allowed []string) {
	b.t.Helper()
	for _, tenant := range tenants {
		_, err := db.ExecContext(b.t.Context(), `SELECT `+pq.QuoteIdentifier(b.Schema())+`.publish($1, 'a', '1')`, tenant)
		if err == nil {
			allowed = append(allowed, tenant)
			continue
		}
		require.Regexp(b.t, `permission denied|may not publish for the tenant "`+tenant+`"`, err.Error())
	}
	return allowed
}

// Who publishes by SQL may do so for the tenants granted to the role that logged in, and to the roles that it is a member of; whoever
// may write the tables anyway, for all.
func TestGrantPublish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name, conn := b.login("app")
	require.Empty(t, b.publishes(conn, "acme"), "nothing is granted")
	grant := func(role, tenant string) { b.exec(`SELECT grant_publish($1, $2)`, role, tenant) }
	revoke := func(role, tenant string) { b.exec(`SELECT revoke_publish($1, $2)`, role, tenant) }
	tenants := []string{"acme", "globex", "acme-2", "*"}

	grant(name, "acme")
	grant(name, "acme")
	require.Equal(t, []string{"acme"}, b.publishes(conn, tenants...))
	grant(name, "globex")
	require.Equal(t, []string{"acme", "globex"}, b.publishes(conn, tenants...))
	revoke(name, "acme")
	require.Equal(t, []string{"globex"}, b.publishes(conn, tenants...))
	grant(name, "*")
	require.Equal(t, tenants, b.publishes(conn, tenants...))
	revoke(name, "*")
	require.Equal(t, []string{"globex"}, b.publishes(conn, tenants...), "what was granted by name stays")
	revoke(name, "globex")
	revoke(name, "globex")
	_, err := conn.ExecContext(t.Context(), `SELECT `+b.Schema()+`.publish('globex', 'a', '1')`)
	require.ErrorContains(t, err, "permission denied for function publish")

	group, _ := b.login("group")
	b.exec(`GRANT ` + group + ` TO ` + name)
	grant(group, "acme")
	require.Equal(t, []string{"acme"}, b.publishes(conn, tenants...), "as a member")
	require.Equal(t, tenants, b.publishes(b.db, tenants...), "the superuser")
	other, others := b.login("writer")
	b.exec(`GRANT USAGE ON SCHEMA ` + b.Schema() + ` TO ` + other + `; GRANT INSERT ON outbox TO ` + other + `;
		GRANT EXECUTE ON FUNCTION publish(text, text, json, text, timestamptz, json) TO ` + other)
	require.Equal(t, tenants, b.publishes(others, tenants...), "a process of Waybill's own")

	for _, call := range []string{
		`grant_publish('nobody', 'acme')`, `grant_publish('` + name + `', 'Acme; x')`, `grant_publish('` + name + `', NULL)`, `grant_publish(NULL, 'acme')`,
	} {
		_, err := b.db.Exec(`SELECT ` + call)
		require.ErrorContains(t, err, "grant_publish: ", call)
	}
	for _, call := range []string{`grant_publish('` + name + `', 'globex')`, `revoke_publish('` + name + `', 'acme')`} {
		_, err := conn.ExecContext(t.Context(), `SELECT `+b.Schema()+`.`+call)
		require.ErrorContains(t, err, "permission denied", "a role grants itself nothing")
	}
}

// What counts is who logged in: no role that the session sets, no function of somebody else, no setting of its own helps.
func TestGrantPublish_SessionUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("globex")
	name, conn := b.login("app")
	wide, _ := b.login("wide")
	b.exec(`SELECT grant_publish($1, 'acme')`, name)
	b.exec(`SELECT grant_publish($1, '*')`, wide)
	b.exec(`GRANT ` + wide + ` TO ` + name)
	b.exec(`ALTER ROLE ` + name + ` NOINHERIT`)
	b.exec(`CREATE FUNCTION led(tenant text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT ` + b.Schema() + `.publish(tenant, 'a', '1') $$`)
	call := func(query string) error {
		_, err := conn.ExecContext(t.Context(), query)
		return err
	}
	if b.count(`SELECT current_setting('server_version_num')::int`) < 160000 { // later, a grant itself says whether it is inherited
		require.NoError(t, call(`SET ROLE `+wide))
		require.ErrorContains(t, call(`SELECT `+b.Schema()+`.publish('globex', 'a', '1')`), "may not publish")
		require.NoError(t, call(`RESET ROLE`))
	} else {
		b.exec(`REVOKE ` + wide + ` FROM ` + name)
	}
	require.ErrorContains(t, call(`SELECT `+b.Schema()+`.led('globex')`), "may not publish")
	require.NoError(t, call(`SELECT `+b.Schema()+`.led('acme')`))

	// A note is what publish_changes leaves: it ends in quarantine, and publishes for nobody.
	require.NoError(t, call(`SET waybill.note = 'mine'; SELECT `+b.Schema()+`.publish('globex', 'a', '1')`))
	require.Equal(t, store.Ingested{Published: 1, Quarantined: 1}, b.drain())
	require.Equal(t, 1, b.count(`SELECT count(*) FROM events WHERE tenant_id = 'acme'`))
	require.Equal(t, 0, b.count(`SELECT count(*) FROM events WHERE tenant_id = 'globex'`))
	// And whoever looks at it is told who wrote it, not what the note says.
	rows, err := b.QuarantinedRows(t.Context(), store.Page{Limit: 10})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Contains(t, rows[0].Reason, "the role "+name+` may not publish for the tenant "globex"`)
}

// A role that is dropped and made anew has the name of the one before, and nothing that was granted to that, though it may call publish.
func TestGrantPublish_RoleMadeAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	group, _ := b.login("group")
	b.exec(`SELECT grant_publish($1, 'globex')`, group)
	name, before := b.login("app")
	b.exec(`SELECT grant_publish($1, 'acme')`, name)
	require.Equal(t, []string{"acme"}, b.publishes(before, "acme", "globex"))
	require.NoError(t, before.Close())
	_, err := b.db.ExecContext(t.Context(), `DROP ROLE `+pq.QuoteIdentifier(name))
	require.ErrorContains(t, err, "depend on it", "Postgres asks for the end of its rights first")
	b.exec(`DROP OWNED BY ` + pq.QuoteIdentifier(name))
	b.exec(`DROP ROLE ` + pq.QuoteIdentifier(name))
	b.exec(`CREATE ROLE ` + pq.QuoteIdentifier(name) + ` LOGIN PASSWORD 'sesame'`)
	conn, err := sqlx.Open("postgres", postgrestest.URLAs(t, name, "sesame", "of "+b.Schema()))
	require.NoError(t, err)
	defer conn.Close()
	require.Empty(t, b.publishes(conn, "acme", "globex"))
	b.exec(`GRANT ` + group + ` TO ` + name)
	require.Equal(t, []string{"globex"}, b.publishes(conn, "acme", "globex"), "as a member of another role")
	b.exec(`SELECT grant_publish($1, 'initech')`, name)
	require.Equal(t, []string{"globex", "initech"}, b.publishes(conn, "acme", "globex", "initech"))
	require.Zero(t, b.count(`SELECT count(*) FROM publishers WHERE role = $1 AND tenant_id = 'acme'`, name))
}

// A trigger whose tenant is a column's undoes no change for what its row says: what may not be published ends in quarantine. A
// tenant that the trigger itself names is refused.
func TestGrantPublish_Trigger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("globex")
	name, conn := b.login("app")
	b.exec(`SELECT grant_publish($1, 'acme')`, name)
	run := func(query string) error {
		_, err := conn.ExecContext(t.Context(), strings.ReplaceAll(query, "S.", b.Schema()+"."))
		return err
	}
	require.NoError(t, run(`CREATE TEMP TABLE orders (tenant text); CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW
		EXECUTE FUNCTION S.publish_changes('new.tenant', 'a', '')`))
	require.NoError(t, run(`INSERT INTO orders VALUES ('acme'), ('globex'), (NULL), ('acme')`))
	require.Equal(t, store.Ingested{Published: 2, Quarantined: 2}, b.drain())
	require.Contains(t, b.quarantine()[0].Reason, `the role `+name+` may not publish for the tenant "globex"`)
	require.NoError(t, run(`CREATE TEMP TABLE named (id int); CREATE TRIGGER t AFTER INSERT ON named FOR EACH ROW
		EXECUTE FUNCTION S.publish_changes('globex', 'a', '')`))
	require.ErrorContains(t, run(`INSERT INTO named VALUES (1)`), "may not publish")
}

// Who could publish before roles were granted tenants still can, for all: an upgrade breaks no producer.
func TestGrantPublish_Upgrade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, conn := b.login("app")
	name, before := b.login("before")
	b.exec(`GRANT USAGE ON SCHEMA ` + b.Schema() + ` TO PUBLIC; GRANT EXECUTE ON FUNCTION publish(text, text, json, text, timestamptz, json) TO ` + name)
	require.Empty(t, b.publishes(before, "acme"), "a bare grant of the call is no grant of a tenant")
	text, err := os.ReadFile("../schemas/migrations/00032_grant_publish.sql")
	require.NoError(t, err)
	_, statement, found := strings.Cut(string(text), "INSERT INTO publishers")
	require.True(t, found)
	statement, _, _ = strings.Cut(statement, ";")
	b.exec(`INSERT INTO publishers` + statement)
	require.Equal(t, []string{"acme", "globex"}, b.publishes(before, "acme", "globex"))
	require.Empty(t, b.publishes(conn, "acme"))
	b.exec(`GRANT EXECUTE ON FUNCTION publish(text, text, json, text, timestamptz, json) TO PUBLIC; DELETE FROM publishers; INSERT INTO publishers` + statement)
	require.Equal(t, []string{"acme"}, b.publishes(conn, "acme"), "everybody could")
	b.exec(`SELECT revoke_publish('public', '*')`)
	require.Empty(t, b.publishes(conn, "acme"))
}

// everyTableIsReadBy holds the grants of the processes to the schema: no table is forgotten, and what is the owner's is only read.
func (b *bundle) everyTableIsReadBy(role string) {
	b.t.Helper()
	var tables []struct {
		Name        string
		Read, Write bool
	}
	require.NoError(b.t, b.db.Select(&tables, `
		SELECT c.relname AS name, has_table_privilege($2, c.oid, 'SELECT') AS read,
			has_table_privilege($2, c.oid, 'INSERT') AND has_table_privilege($2, c.oid, 'UPDATE') AND has_table_privilege($2, c.oid, 'DELETE') AS write
		FROM pg_class c WHERE c.relnamespace = quote_ident($1)::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition`, b.Schema(), role))
	require.Greater(b.t, len(tables), 10)
	for _, table := range tables {
		require.True(b.t, table.Read, table.Name)
		require.Equal(b.t, table.Name != "publishers" && table.Name != "goose_db_version", table.Write, table.Name)
	}
	require.Zero(b.t, b.count(`
		SELECT count(*) FROM pg_proc p WHERE p.pronamespace = quote_ident($1)::regnamespace AND NOT has_function_privilege($2, p.oid, 'EXECUTE')
			AND p.proname NOT IN ('grant_publish', 'revoke_publish')`, b.Schema(), role))
	require.Zero(b.t, b.count(`SELECT count(*) FROM pg_class c WHERE pg_get_userbyid(c.relowner) = $1`, role), "it owns nothing")
}

// What producers call belongs to a role that may do nothing but write the outbox.
func TestMigrate_PublishIsApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, 2, b.count(`SELECT count(*) FROM pg_proc p WHERE p.pronamespace = quote_ident($1)::regnamespace AND p.prosecdef
		AND p.proname IN ('publish', 'may_publish') AND pg_get_userbyid(p.proowner) = 'waybill_publish'`, b.Schema()))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM pg_class c WHERE c.relnamespace = quote_ident($1)::regnamespace AND c.relkind IN ('r', 'p')
		AND has_table_privilege('waybill_publish', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')`, b.Schema()), "the outbox alone")
	require.Equal(t, 0, b.count(`SELECT count(*) FROM pg_roles WHERE rolname = 'waybill_publish' AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb)
		OR rolname = 'waybill_publish' AND has_schema_privilege(oid, quote_ident($1)::regnamespace::oid, 'CREATE')`, b.Schema()))
}

// A role that may not create roles, as on a managed Postgres, migrates and publishes all the same.
func TestMigrate_WithoutCreateRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name, conn := b.login("installer")
	schema := "own_" + b.Schema()
	b.exec(`CREATE SCHEMA ` + schema + ` AUTHORIZATION ` + name)
	app, apps := b.login("app")
	t.Cleanup(func() {
		_, err := b.db.ExecContext(context.Background(), `DROP SCHEMA `+schema+` CASCADE`)
		require.NoError(t, err)
	})
	url := postgrestest.URLAs(t, name, "sesame", "of "+b.Schema())
	for range 2 {
		require.NoError(t, postgres.Migrate(t.Context(), url, schema, slog.New(slog.DiscardHandler)))
	}
	_, err := conn.ExecContext(t.Context(), `SELECT `+schema+`.publish('acme', 'a', '1')`)
	require.NoError(t, err, "the owner")
	require.Equal(t, 1, b.count(`SELECT count(*) FROM `+schema+`.outbox`))
	_, err = conn.ExecContext(t.Context(), `SELECT `+schema+`.grant_publish($1, 'acme')`, app)
	require.NoError(t, err)
	_, err = apps.ExecContext(t.Context(), `SELECT `+schema+`.publish('acme', 'a', '1')`)
	require.NoError(t, err)
	_, err = apps.ExecContext(t.Context(), `SELECT `+schema+`.publish('globex', 'a', '1')`)
	require.ErrorContains(t, err, "may not publish")
	require.Equal(t, name, owner(t, b, schema))

	// One that may creates the role, or joins it, and goes on to migrate and grant.
	b.exec(`ALTER ROLE ` + name + ` CREATEROLE; GRANT waybill_publish TO ` + name)
	require.NoError(t, postgres.Migrate(t.Context(), url, schema, slog.New(slog.DiscardHandler)))
	require.Equal(t, "waybill_publish", owner(t, b, schema))
	_, err = conn.ExecContext(t.Context(), `SELECT `+schema+`.grant_publish($1, 'globex')`, app)
	require.NoError(t, err)
	_, err = apps.ExecContext(t.Context(), `SELECT `+schema+`.publish('globex', 'a', '1')`)
	require.NoError(t, err)
	require.NoError(t, postgres.Migrate(t.Context(), url, schema, slog.New(slog.DiscardHandler)))
}

func owner(t *testing.T, b *bundle, schema string) (role string) {
	t.Helper()
	require.NoError(t, b.db.Get(&role, `SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = $1::regnamespace AND proname = 'publish'`, schema))
	return role
}
