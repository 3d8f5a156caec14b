// Package postgrestest gives each test its own schema in the test database.
package postgrestest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"log/slog"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
)

const variable = "WAYBILL_TEST_DATABASE_URL"

// Limits of a test's schema.
const (
	// maxConns keeps parallel tests below the server's max_connections.
	maxConns    = 4
	dropTimeout = 30 * time.Second
)

// Key returns the encryption key of every test's Store.
func Key() postgres.Key { return postgres.Key{ID: "test", Key: [32]byte{1, 2, 3}} }

// URL returns the connection string of the test database. It fails the test when there is none.
func URL(tb testing.TB) string {
	tb.Helper()
	url := os.Getenv(variable)
	require.NotEmpty(tb, url, variable+" is not set: run the tests with make test")
	return url
}

// Schema creates an empty schema, which is dropped when the test ends, and returns its name.
func Schema(tb testing.TB) string {
	tb.Helper()
	db, err := sql.Open("postgres", URL(tb))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	name := "test_" + random()
	_, err = db.ExecContext(tb.Context(), `CREATE SCHEMA `+pq.QuoteIdentifier(name))
	require.NoError(tb, err, "the test database")
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
		defer cancel()
		_, err := db.ExecContext(ctx, `DROP SCHEMA `+pq.QuoteIdentifier(name)+` CASCADE`)
		require.NoError(tb, err)
	})
	return name
}

// named returns the URL with an application name that identifies the test's connections in pg_stat_activity.
func named(tb testing.TB, name string) string {
	tb.Helper()
	u, err := url.Parse(URL(tb))
	require.NoError(tb, err)
	q := u.Query()
	q.Set("application_name", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// URLAs returns the URL with another user, and a name for its connections.
func URLAs(tb testing.TB, user, password, name string) string {
	tb.Helper()
	u, err := url.Parse(named(tb, name))
	require.NoError(tb, err)
	u.User = url.UserPassword(user, password)
	return u.String()
}

func random() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// New returns a Store with a migrated schema of its own, which Store.Schema names: with URL and Key, another process can
// be pointed at it. change may alter the options. The Store is closed and its schema dropped when the test ends.
func New(tb testing.TB, change ...func(*postgres.Options)) *postgres.Store {
	tb.Helper()
	o := postgres.Options{
		Schema: Schema(tb), MaxConns: maxConns, Keys: []postgres.Key{Key()}, Logger: slog.New(slog.DiscardHandler),
	}
	o.URL = named(tb, o.Schema)
	for _, c := range change {
		c(&o)
	}
	require.NoError(tb, postgres.Migrate(tb.Context(), o.URL, o.Schema, o.Logger))
	return Open(tb, o)
}

// Open returns a further Store, closed when the test ends.
func Open(tb testing.TB, o postgres.Options) *postgres.Store {
	tb.Helper()
	s, err := postgres.Open(o)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}
