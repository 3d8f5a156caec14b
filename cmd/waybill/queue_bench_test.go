package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/scripts/receiver"
	"waybill/webhook"
)

// BenchmarkDrain prints how many held deliveries a second one queue sends to a receiver that answers in 5 ms, and how much memory that
// takes while all of them wait. It needs a database: see make test.
//
//	go test ./cmd/waybill -run '^$' -bench Drain -benchtime 1x
func BenchmarkDrain(b *testing.B) {
	const waiting = 50_000
	for range b.N {
		b.StopTimer()
		var got atomic.Int64
		r, err := receiver.Start(b.Context(), receiver.Options{Answer: func(*receiver.Arrival) receiver.Behavior {
			got.Add(1)
			return receiver.Reply{After: 5 * time.Millisecond}.Behavior()
		}})
		require.NoError(b, err)
		acts, endpoint := newBenchmarkQueue(b, r.URL(), waiting)
		before := heap()
		b.StartTimer()
		in, most, began := activities.DrainInput{Tenant: "acme", EndpointID: endpoint}, uint64(0), time.Now()
		for {
			out, err := acts.Drain(b.Context(), in)
			require.NoError(b, err)
			in.Window, most = out.Window, max(most, heap())
			if out.End != "" {
				break
			}
		}
		b.ReportMetric(waiting/time.Since(began).Seconds(), "deliveries/s")
		b.ReportMetric(float64(max(most, before)-before)/(1<<20), "MiB")
		b.StopTimer()
		require.EqualValues(b, waiting, got.Load(), "each once")
		require.NoError(b, r.Close())
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// newBenchmarkQueue returns activities, and an endpoint with so many held deliveries that is enabled again.
func newBenchmarkQueue(b *testing.B, target string, waiting int) (*activities.Activities, webhook.EndpointID) {
	b.Helper()
	loaded, err := loadCatalogue("")
	require.NoError(b, err)
	s := postgrestest.New(b, func(o *postgres.Options) { o.MaxConns = 20 })
	now := time.Now().UTC()
	require.NoError(b, s.CreateTenant(b.Context(), &webhook.Tenant{ID: "acme", Name: "acme", Dialect: "standard", CreatedAt: now}, webhook.Secret{}, nil))
	e := &webhook.Endpoint{
		ID: webhook.NewID[webhook.EndpointID](uuid.Must(uuid.NewV7())), TenantID: "acme", URL: target, EventTypes: []string{"*"}, CreatedAt: now, UpdatedAt: now,
	}
	require.NoError(b, s.CreateEndpoint(b.Context(), e, webhook.NewSecret([]byte("0123456789abcdef0123456789abcdef")), 0, nil))
	tenant, err := s.Tenant(b.Context(), "acme")
	require.NoError(b, err)
	publishAll(b, s, tenant, loaded, waiting)
	holdAll(b, s.Schema())
	transport, err := activities.NewTransport(activities.TransportOptions{Rules: activities.AddressRules{
		Allow: []activities.AllowedNetwork{{Prefix: netip.MustParsePrefix("127.0.0.0/8")}},
	}})
	require.NoError(b, err)
	return activities.New(activities.Options{
		Store: s, Queues: s, Recoveries: s, Transport: transport, Dialects: loaded.dialects, Logger: slog.New(slog.DiscardHandler),
	}), e.ID
}

// publishAll publishes many events, some at a time.
func publishAll(b *testing.B, s *postgres.Store, tenant *webhook.Tenant, loaded *catalogue, n int) {
	b.Helper()
	var publishers sync.WaitGroup
	next := atomic.Int64{}
	for range 64 {
		publishers.Go(func() {
			for next.Add(1) <= int64(n) {
				event := &webhook.Event{
					Key: webhook.NewID[webhook.EventKey](uuid.Must(uuid.NewV7())), TenantID: tenant.ID, Type: "order.confirmed",
					OccurredAt: time.Now().UTC(), Data: []byte(`{"order":1001}`),
				}
				event.ID = event.Key.String()
				p, err := webhook.NewPublication(event, tenant, loaded.dialects["standard"], nil, loaded, nil, time.Now().UTC())
				if err == nil {
					_, err = s.Accept(context.WithoutCancel(b.Context()), p)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	publishers.Wait()
}

// holdAll does what the holds of an endpoint do that was disabled before.
func holdAll(b *testing.B, schema string) {
	b.Helper()
	u, err := url.Parse(postgrestest.URL(b))
	require.NoError(b, err)
	db, err := sql.Open("postgres", u.String())
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	for _, statement := range []string{
		`UPDATE %s.deliveries SET status = 'held', held_at = now(), reason = 'off', queue_due_at = created_at`,
		`VACUUM ANALYZE %s.deliveries`,
	} {
		_, err := db.ExecContext(b.Context(), fmt.Sprintf(statement, schema))
		require.NoError(b, err)
	}
}
