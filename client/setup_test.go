package client_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"waybill/api"
	"waybill/client"
	"waybill/postgres"
	"waybill/schemas"
	"waybill/webhook"
)

const adminKey = "the-admin-key-0123456789"

// ending undoes what the tests share, the last first.
var ending []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(ending) - 1; i >= 0; i-- {
		ending[i]()
	}
	os.Exit(code)
}

// server is the API with a real Postgres and no Temporal: nothing is delivered. Examples have no testing.TB, hence the panics.
var server = sync.OnceValue(func() string {
	s, dialects := newStore()
	handler := api.New(api.Options{
		Store: s, Engine: &engine{store: s}, Schemas: noSchemas{}, Dialects: dialects, AdminKeys: []api.AdminKey{{Key: adminKey}},
		OpenAPI: schemas.OpenAPI, NewUUID: func() [16]byte { return uuid.Must(uuid.NewV7()) },
	})
	web := httptest.NewServer(handler)
	ending = append(ending, handler.Close, web.Close)
	return web.URL
})

// dial returns a client of the server with the admin key.
func dial() *client.Client {
	c, err := client.New(server(), adminKey)
	must(err)
	return c
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func newStore() (*postgres.Store, map[string]*webhook.Dialect) {
	address, ctx := os.Getenv("WAYBILL_TEST_DATABASE_URL"), context.Background()
	if address == "" {
		panic("WAYBILL_TEST_DATABASE_URL is not set: run the tests with make test")
	}
	db, err := sql.Open("postgres", address)
	must(err)
	name := make([]byte, 8)
	_, _ = rand.Read(name) // never fails
	schema := "test_" + hex.EncodeToString(name)
	_, err = db.ExecContext(ctx, `CREATE SCHEMA `+pq.QuoteIdentifier(schema))
	must(err)
	must(postgres.Migrate(ctx, address, schema, slog.New(slog.DiscardHandler)))
	dialects := readDialects()
	s, err := postgres.Open(postgres.Options{
		URL: address, Schema: schema, MaxConns: 4, Keys: []postgres.Key{{ID: "test", Key: [32]byte{1}}}, Dialects: dialects, Logger: slog.New(slog.DiscardHandler),
	})
	must(err)
	ending = append(ending, func() {
		_, err := db.ExecContext(ctx, `DROP SCHEMA `+pq.QuoteIdentifier(schema)+` CASCADE`)
		must(err)
		must(db.Close())
	}, func() { must(s.Close()) })
	return s, dialects
}

func readDialects() map[string]*webhook.Dialect {
	out := map[string]*webhook.Dialect{}
	files, err := fs.Glob(schemas.Dialects(), "*.json")
	must(err)
	for _, file := range files {
		text, err := fs.ReadFile(schemas.Dialects(), file)
		must(err)
		d, err := webhook.ParseDialect(text)
		must(err)
		out[d.Name] = d
	}
	return out
}

// engine disables and enables in the store. What else an engine does is not asked for.
type engine struct {
	api.Engine
	store *postgres.Store
}

func (e *engine) DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	out, _, err := e.store.DisableEndpoint(ctx, tenant, id, change)
	return out, err
}

func (e *engine) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	out, _, err := e.store.EnableEndpoint(ctx, tenant, id, change)
	return out, err
}

func (e *engine) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error {
	return e.store.DeleteEndpoint(ctx, tenant, id, at, checks...)
}

// unique returns the id of a tenant that no other test has.
func unique() string { return "t-" + uuid.Must(uuid.NewV7()).String() }

// noSchemas takes any data.
type noSchemas struct{ webhook.Schemas }

func (noSchemas) Validate(string, string, []byte) error { return nil }

func (*engine) WakeQueue(context.Context, string, webhook.EndpointID) error { return nil }
