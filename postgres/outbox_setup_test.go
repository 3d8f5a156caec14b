package postgres_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/schemas"
	"waybill/store"
	"waybill/webhook"
)

// dialects returns those that the tests ingest with.
func dialects(t testing.TB) map[string]*webhook.Dialect {
	t.Helper()
	out := map[string]*webhook.Dialect{}
	for _, name := range []string{"standard", "rheo", "auction-excellence"} {
		data, err := fs.ReadFile(schemas.Dialects(), name+".json")
		require.NoError(t, err)
		out[name], err = webhook.ParseDialect(data)
		require.NoError(t, err)
	}
	return out
}

// salePrice wants what a schema might want of the type "item.sold".
type salePrice struct{}

func (salePrice) Validate(_, eventType string, data []byte) error {
	var in struct {
		SalePrice *float64 `json:"salePrice"`
	}
	if eventType == "item.sold" && (json.Unmarshal(data, &in) != nil || in.SalePrice == nil) {
		err := webhook.Errorf(webhook.CodeSchemaViolation, "data of item.sold breaks its schema: data/salePrice is required")
		err.Fields = []webhook.FieldError{{Field: "data/salePrice", Detail: "is required"}}
		return err
	}
	return nil
}

func (salePrice) ValidateOwn(own *webhook.OwnType, data []byte) error {
	if own.Schema != nil && !bytes.Contains(data, []byte(`"n"`)) {
		return webhook.Errorf(webhook.CodeSchemaViolation, "data has no n")
	}
	return nil
}

func (salePrice) CheckSchema([]byte) error { return nil }

const rowBytes = 10_000

// How long a state is waited for, and how often looked for.
const (
	waiting = 20 * time.Second
	tick    = 20 * time.Millisecond
)

// keywords returns a URL in the other form of a connection string.
func keywords(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	password, _ := u.User.Password()
	return fmt.Sprintf("host=%s port=%s user=%s password='%s' dbname=%s sslmode=disable",
		u.Hostname(), u.Port(), u.User.Username(), password, strings.TrimPrefix(u.Path, "/"))
}

// unhurried gives a step of large rows the time that a busy machine takes: a step ends after a quarter of a call's.
func unhurried(o *postgres.Options) { o.Timeout = 2 * time.Minute }

// step returns what the ingester asks for in each step; change may alter it.
func step(t testing.TB, change ...func(*store.Ingestion)) store.Ingestion {
	t.Helper()
	known := dialects(t)
	in := store.Ingestion{
		Rows: 256, RowBytes: rowBytes, Dialects: slices.Sorted(maps.Keys(known)),
		Prepare: func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error) {
			return row.Publication(tenant, known[tenant.Dialect], own, salePrice{}, now())
		},
	}
	for _, f := range change {
		f(&in)
	}
	return in
}

// drain ingests until nothing is settled in a round of all tenants, as the ingester does, and returns what became of all rows.
func drain(ctx context.Context, s *postgres.Store, in store.Ingestion) (all store.Ingested, failure error) {
	settled := 0
	for {
		out, err := s.IngestOutbox(ctx, in)
		all.Published += out.Published
		all.Repeated += out.Repeated
		all.Quarantined += out.Quarantined
		in.After, failure, settled = out.Next, cmp.Or(failure, err), settled+out.Settled()
		switch {
		case in.After != "":
		case settled == 0:
			return all, failure
		default:
			settled, failure = 0, nil
		}
	}
}

func (b *bundle) drain(change ...func(*store.Ingestion)) store.Ingested {
	b.t.Helper()
	out, err := drain(b.t.Context(), b.Store, step(b.t, change...))
	require.NoError(b.t, err)
	return out
}

// call publishes with SQL, with arguments as they stand between the parentheses, and returns the id.
func (b *bundle) call(args string) string {
	b.t.Helper()
	var id string
	require.NoError(b.t, b.db.GetContext(b.t.Context(), &id, `SELECT publish(`+args+`)`))
	return id
}

// quarantined is a row of outbox_quarantine, without what the producer wrote.
type quarantined struct {
	Code   webhook.Code   `db:"code"`
	Reason string         `db:"reason"`
	Errors sql.NullString `db:"errors"`
}

func (b *bundle) quarantine() []quarantined {
	b.t.Helper()
	var out []quarantined
	require.NoError(b.t, b.db.SelectContext(b.t.Context(), &out, `SELECT code, reason, errors FROM outbox_quarantine ORDER BY position`))
	return out
}

// role creates a role that may do nothing, and returns it with a connection that acts as it.
func (b *bundle) role() (string, *sqlx.Conn) {
	b.t.Helper()
	name := "role_" + b.Schema()
	b.exec(`CREATE ROLE ` + pq.QuoteIdentifier(name))
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, query := range []string{`DROP OWNED BY `, `DROP ROLE `} {
			_, err := b.db.ExecContext(ctx, query+pq.QuoteIdentifier(name))
			require.NoError(b.t, err)
		}
	})
	conn, err := b.db.Connx(b.t.Context())
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err := conn.ExecContext(ctx, `RESET ROLE; RESET search_path; DISCARD TEMP`)
		require.NoError(b.t, err)
		require.NoError(b.t, conn.Close())
	})
	_, err = conn.ExecContext(b.t.Context(), `SET ROLE `+pq.QuoteIdentifier(name))
	require.NoError(b.t, err)
	return name, conn
}

func (b *bundle) exec(query string, args ...any) {
	b.t.Helper()
	_, err := b.db.ExecContext(b.t.Context(), query, args...)
	require.NoError(b.t, err, query)
}
