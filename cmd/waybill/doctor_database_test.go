package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/scripts/inbox"
	"waybill/scripts/receiver"
	"waybill/webhook"
)

// anotherRole creates a role with the password sesame and no rights, and returns its name.
func anotherRole(t *testing.T, db *sql.DB) string {
	t.Helper()
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	role := "test_role_" + hex.EncodeToString(b)
	_, err := db.ExecContext(t.Context(), `CREATE ROLE `+pq.QuoteIdentifier(role)+` LOGIN PASSWORD 'sesame'`)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, statement := range []string{`DROP OWNED BY `, `DROP ROLE `} {
			_, err := db.Exec(statement + pq.QuoteIdentifier(role)) //nolint:noctx // the test's context is done
			require.NoError(t, err)
		}
	})
	return role
}

// tested is what doctor needs of a database with a schema of its own, as the user of a URL.
func tested(url, schema string, change ...string) []string {
	return good(append([]string{"WAYBILL_DATABASE_URL=" + url, "WAYBILL_DATABASE_SCHEMA=" + schema, "WAYBILL_TEMPORAL_ADDRESS=127.0.0.1:1"}, change...)...)
}

// Of several servers one is enough to work, and those that could not take over are told.
func TestDoctor_ServerDown(t *testing.T) {
	t.Parallel()
	schema := postgrestest.New(t).Schema()
	u, err := url.Parse(postgrestest.URL(t))
	require.NoError(t, err)
	up := u.Host
	u.Host = "127.0.0.1:1," + up
	_, found := diagnosed(t, tested(u.String(), schema))
	require.Equal(t, doubts, found["database"].Verdict)
	require.Contains(t, found["database"].Says, "no way into 127.0.0.1:1")
	require.NotContains(t, found["database"].Says, up)
	require.Equal(t, fine, found["migrations"].Verdict)
}

// A role that lacks rights is told with what it lacks, and nothing that it cannot see is told as being well.
func TestDoctor_Role(t *testing.T) {
	t.Parallel()
	schema := postgrestest.New(t).Schema()
	db, err := sql.Open("postgres", postgrestest.URL(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	exec := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	role := anotherRole(t, db)
	url := postgrestest.URLAs(t, role, "sesame", "doctor")
	in := pq.QuoteIdentifier(schema)

	code, found := diagnosed(t, tested(url, schema))
	require.Equal(t, 1, code)
	require.Equal(t, fine, found["database"].Verdict)
	require.Equal(t, finding{"role", fails, role + " may not use the schema " + schema, "Run waybill migrate as the owner with WAYBILL_DATABASE_ROLE=" + role}, found["role"])
	require.Equal(t, doubts, found["migrations"].Verdict, "not: has no tables")
	require.Equal(t, doubts, found["encryption keys"].Verdict)

	exec(`GRANT USAGE ON SCHEMA ` + in + ` TO ` + role)
	_, found = diagnosed(t, tested(url, schema))
	require.Equal(t, fails, found["role"].Verdict)
	require.Contains(t, found["role"].Says, "events")
	require.Contains(t, found["role"].Says, "goose_db_version")
	require.Equal(t, doubts, found["migrations"].Verdict, "not: all are applied")

	require.NoError(t, postgres.Grant(t.Context(), postgrestest.URL(t), schema, role))
	_, found = diagnosed(t, tested(url, schema))
	require.Equal(t, finding{"role", fine, role + " may read and write the tables", ""}, found["role"])
	require.Equal(t, fine, found["migrations"].Verdict)
	require.Equal(t, fine, found["encryption keys"].Verdict)

	// One table that was forgotten, in a schema that is behind.
	exec(`REVOKE DELETE ON ` + in + `.dispatches FROM ` + role)
	exec(`DELETE FROM ` + in + `.goose_db_version WHERE version_id = (SELECT max(version_id) FROM ` + in + `.goose_db_version)`)
	_, found = diagnosed(t, tested(url, schema))
	require.Equal(t, role+" may not read and write dispatches", found["role"].Says)
	require.Equal(t, fails, found["migrations"].Verdict)
	require.Equal(t, "Run: waybill migrate", found["migrations"].Do)

	_, found = diagnosed(t, tested(postgrestest.URL(t), schema))
	require.Equal(t, doubts, found["role"].Verdict, "the tests' own user is a superuser")
	require.Contains(t, found["role"].Says, "is a superuser")
}

// A password that is wrong, and a database that is not there, are no outage.
func TestDoctor_Login(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("postgres", postgrestest.URL(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	role := anotherRole(t, db)
	for _, user := range []string{role, "test_nobody_has_it"} {
		code, found := diagnosed(t, tested(postgrestest.URLAs(t, user, "hush-hush", "doctor"), "public"))
		require.Equal(t, 1, code)
		require.Equal(t, fails, found["database"].Verdict)
		require.Contains(t, found["database"].Says, "refuses the user or the password")
		require.NotContains(t, found["database"].Says, "not available")
		require.Contains(t, found["database"].Do, "WAYBILL_DATABASE_PASSWORD")
	}
}

// A server that takes no writes is told as what it is.
func TestDoctor_ReadOnly(t *testing.T) {
	t.Parallel()
	code, found := diagnosed(t, tested(postgrestest.URL(t)+"&default_transaction_read_only=on", "public"))
	require.Equal(t, 1, code)
	require.Equal(t, fails, found["database"].Verdict)
	require.Contains(t, found["database"].Says, "standby or read-only")
	require.Contains(t, found["database"].Do, "promote")
}

// A server that does not let the process in is told in the log as what it is. The process goes on, because the password may be changed at
// the moment.
func TestServe_Login(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("postgres", postgrestest.URL(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	environ := tested(postgrestest.URLAs(t, anotherRole(t, db), "hush-hush", "serve"), "public", "WAYBILL_DRAIN_TIMEOUT=1s")
	ctx, cancel := context.WithCancel(t.Context())
	log, ended := &safeBuffer{}, make(chan int)
	go func() {
		ended <- run(ctx, invocation{args: []string{"worker"}, environ: environ, in: strings.NewReader(""), out: io.Discard, err: log})
	}()
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "mail is off") }, 20*time.Second, time.Millisecond)
	cancel()
	require.Zero(t, <-ended)
	require.Contains(t, log.String(), `level=ERROR msg="the database refuses the user or the password of WAYBILL_DATABASE_URL; still trying"`)
	require.NotContains(t, log.String(), "hush-hush")
}

// A key that has the id of the one that sealed what is stored, and is another, is told.
func TestDoctor_Keys(t *testing.T) {
	t.Parallel()
	s := postgrestest.New(t)
	require.NoError(t, s.CreateTenant(t.Context(), &webhook.Tenant{ID: "acme", Name: "Acme", Dialect: "standard"}, webhook.NewSecret([]byte("whsec")), nil))
	key := postgrestest.Key()
	right := key.ID + ":" + base64.StdEncoding.EncodeToString(key.Key[:])
	_, found := diagnosed(t, tested(postgrestest.URL(t), s.Schema(), "WAYBILL_ENCRYPTION_KEYS="+right))
	require.Equal(t, fine, found["encryption keys"].Verdict, found["encryption keys"].Says)
	code, found := diagnosed(t, tested(postgrestest.URL(t), s.Schema(), "WAYBILL_ENCRYPTION_KEYS="+key.ID+":"+base64.StdEncoding.EncodeToString(make([]byte, 32))))
	require.Equal(t, 1, code)
	require.Equal(t, fails, found["encryption keys"].Verdict)
	require.Contains(t, found["encryption keys"].Says, `the key "test" is another one`)
	require.Equal(t, fine, found["database"].Verdict)
}

// A mail server that greets is told as such, and one whose certificate nobody vouches for is not.
func TestDoctor_Mail(t *testing.T) {
	t.Parallel()
	plain, err := inbox.Start(t.Context(), inbox.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	a, err := receiver.NewAuthority()
	require.NoError(t, err)
	cert, err := a.Certificate()
	require.NoError(t, err)
	secret, err := inbox.Start(t.Context(), inbox.Options{Certificate: &cert, User: "waybill", Password: "hush-hush"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, secret.Close()) })
	mail := func(b *inbox.Inbox, change ...string) finding {
		_, found := diagnosed(t, tested(postgrestest.URL(t), "public", append(change, "WAYBILL_SMTP_HOST=127.0.0.1", "WAYBILL_SMTP_PORT="+strconv.Itoa(b.Port()), "WAYBILL_SMTP_FROM=a@example.com")...))
		return found["mail"]
	}
	got := mail(plain, "WAYBILL_SMTP_TLS=none")
	require.Equal(t, fine, got.Verdict, got.Says)
	require.Equal(t, "127.0.0.1:"+strconv.Itoa(plain.Port())+" greets, with tls none", got.Says)
	require.Empty(t, plain.Mails(), "nothing was sent")
	got = mail(secret, "WAYBILL_SMTP_USER=waybill", "WAYBILL_SMTP_PASSWORD=hush-hush")
	require.Equal(t, fails, got.Verdict)
	require.Contains(t, got.Says, "certificate")
}
