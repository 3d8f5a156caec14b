package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/store"
	"waybill/tracing"
	"waybill/webhook"
)

// Defaults of Options.
const (
	defaultMaxConns        = 20
	defaultLease           = 10 * time.Second
	defaultTimeout         = 10 * time.Second
	defaultBodyCacheBytes  = 32 << 20
	defaultMaxGroup        = 256
	defaultMaxDeliveries   = 20_000
	defaultQuarantineRows  = 10_000
	defaultQuarantineBytes = 256 << 20
	defaultQuarantineAge   = 90 * 24 * time.Hour
	// recordLinger can be long, because the receiver has answered and only the end of the workflow waits for the record.
	recordLinger = 20 * time.Millisecond
)

// Options say where the database is and how to use it. Zero values mean the defaults.
type Options struct {
	// URL is a connection string as lib/pq reads it. It is never part of an error or of the log.
	URL string
	// Schema is where the tables are; "" is public.
	Schema string
	// MaxConns bounds the pool; default 20.
	MaxConns int
	// Keys seal signing secrets and custom headers: the first seals, all open. At least one is needed.
	Keys []Key
	// Lease is how long a new event belongs to this process before the relay of any process may claim it; default 10s.
	Lease time.Duration
	// Timeout bounds every call, including the wait for a connection, a lock or other statements; default 10s. Then the
	// server is asked to cancel the statement. If it does not answer within 2 s, the connection is closed.
	Timeout time.Duration
	// MaxGroup is how many calls may share one run; default 256.
	MaxGroup int
	// MaxRecipients is how many endpoints one event may go to; default webhook.MaxRecipients.
	MaxRecipients int
	// MaxDeliveries is how many deliveries one transaction of Accept stores, or the events of a claim have, unless a single event has more;
	// default 20,000.
	MaxDeliveries int
	// BodyCacheBytes bounds the bodies kept in memory; default 32 MiB.
	BodyCacheBytes int
	// QuarantineRows, QuarantineBytes and QuarantineAge bound what the quarantine keeps; default 10,000 rows, 256 MiB, 90 days.
	QuarantineRows  int
	QuarantineBytes int64
	QuarantineAge   time.Duration
	// OperatorTenant gets the operational events; "": nobody does.
	OperatorTenant string
	// Dialects say which attributes are UUIDs, for the filter of an endpoint that gets what it missed. One that is not there has
	// none.
	Dialects map[string]*webhook.Dialect
	// OnAccepted is called after the commit, before the callers of Accept get their answers, with the events whose workflow
	// must be started. It must not block.
	OnAccepted func([]store.Dispatch)
	// Leave reports that an event accepted now is left to the relay: it gets no lease, and OnAccepted is not called for it.
	// Nil: none is.
	Leave func(*store.Dispatch) bool
	// Failpoint is called at "before-commit" and "after-commit" of accepted events, for tests that kill the process there.
	Failpoint func(name string)
	// Registerer registers the metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	// Logger gets failures that no caller learns of; default slog.Default.
	Logger *slog.Logger
	// Tracer starts the spans of transactions that many share; nil: there are none.
	Tracer *tracing.Tracer
	// NewUUID makes the ids of deliveries: UUIDv7s that increase within the process; default uuid.NewV7.
	NewUUID func() [16]byte
}

// setDefaults fills in the zero values.
func (o *Options) setDefaults() {
	o.Schema = cmp.Or(o.Schema, "public")
	o.MaxConns = cmp.Or(o.MaxConns, defaultMaxConns)
	o.Lease = cmp.Or(o.Lease, defaultLease)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.MaxGroup = cmp.Or(o.MaxGroup, defaultMaxGroup)
	o.MaxDeliveries = cmp.Or(o.MaxDeliveries, defaultMaxDeliveries)
	o.MaxRecipients = cmp.Or(o.MaxRecipients, webhook.MaxRecipients)
	o.BodyCacheBytes = cmp.Or(o.BodyCacheBytes, defaultBodyCacheBytes)
	o.QuarantineRows = cmp.Or(o.QuarantineRows, defaultQuarantineRows)
	o.QuarantineBytes = cmp.Or(o.QuarantineBytes, defaultQuarantineBytes)
	o.QuarantineAge = cmp.Or(o.QuarantineAge, defaultQuarantineAge)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Leave == nil {
		o.Leave = func(*store.Dispatch) bool { return false }
	}
	if o.OnAccepted == nil {
		o.OnAccepted = func([]store.Dispatch) {}
	}
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
	if o.NewUUID == nil {
		o.NewUUID = func() [16]byte { return uuid.Must(uuid.NewV7()) } // fails only without a source of randomness
	}
}

// The interfaces that Store implements.
var (
	_ store.Tenants        = (*Store)(nil)
	_ store.Endpoints      = (*Store)(nil)
	_ store.Keys           = (*Store)(nil)
	_ store.Events         = (*Store)(nil)
	_ store.Deliveries     = (*Store)(nil)
	_ store.Attempts       = (*Store)(nil)
	_ store.Dispatches     = (*Store)(nil)
	_ store.Outbox         = (*Store)(nil)
	_ store.Quarantine     = (*Store)(nil)
	_ store.Queues         = (*Store)(nil)
	_ store.Streaks        = (*Store)(nil)
	_ store.Certificates   = (*Store)(nil)
	_ store.Reconciliation = (*Store)(nil)
	_ store.Partitions     = (*Store)(nil)
	_ store.Stats          = (*Store)(nil)
	_ store.Notices        = (*Store)(nil)
	_ store.Health         = (*Store)(nil)
	_ store.Watch          = (*Store)(nil)
	_ store.OnceKeys       = (*Store)(nil)
	_ store.EventTypes     = (*Store)(nil)
	_ store.Recoveries     = (*Store)(nil)
	_ store.Retention      = (*Store)(nil)
	_ store.Audits         = (*Store)(nil)
	_ store.Erasures       = (*Store)(nil)
	_ store.Secrets        = (*Store)(nil)
	_ store.EndedSecrets   = (*Store)(nil)
	_ store.Sessions       = (*Store)(nil)
)

// Store is the database. Its methods are safe for concurrent use.
type Store struct {
	db      *sqlx.DB
	opts    Options
	log     *slog.Logger
	keys    *keyring
	hot     statements
	caches  caches
	metrics *metrics

	writers statsWriters
	audits  pendingAudits

	accepts, wideAccepts *group[*webhook.Publication, *webhook.Receipt]

	records   *group[*store.Record, *store.Recorded]
	sendings  *group[store.Target, *store.Sending]
	deletions *group[[]webhook.EventKey, struct{}]
	queueings *group[queueing, bool]
}

// Open returns a Store without connecting, so that a process can start while the database is down; Ping tells whether it
// is. It fails only for options that can never work.
func Open(o Options) (*Store, error) {
	o.setDefaults()
	keys, err := newKeyring(o.Keys)
	if err != nil {
		return nil, err
	}
	db, err := openPool(o.URL, o.Schema, o.MaxConns, guardRails(o.Timeout))
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, opts: o, log: o.Logger, keys: keys, caches: newCaches(o.BodyCacheBytes), metrics: newMetrics(o.Registerer, db.DB)}
	s.hot.db = db
	s.accepts, s.wideAccepts = s.newAccepts(o), s.newAccepts(o)
	// Two runs at once keep the disk busy: while one waits for its commit, the other executes.
	s.records = newGroup(o, 2, s.recordGroup)
	s.records.linger = recordLinger
	s.records.name = "record transaction"
	s.records.tenantOf = func(r *store.Record) string { return r.TenantID }
	s.sendings = newGroup(o, 2, s.sendingGroup)
	s.sendings.tenantOf = func(t store.Target) string { return t.Tenant }
	s.deletions = newGroup(o, 1, s.deleteGroup)
	s.queueings = newGroup(o, 1, s.queueGroup)
	return s, nil
}

// Schema returns the name of the schema that the tables are in.
func (s *Store) Schema() string { return s.opts.Schema }

// Ping answers CodeUnavailable when the database does not.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return failed("ping", s.db.PingContext(ctx))
}

// Close waits until running calls have ended, at most Options.Timeout, and closes the connections.
func (s *Store) Close() error {
	s.accepts.close()
	s.wideAccepts.close()
	s.records.close()
	s.sendings.close()
	s.deletions.close()
	s.queueings.close()
	// A database that is down while connections are closed is no failure of the process.
	if err := s.db.Close(); err != nil && !unavailable(err) {
		return fmt.Errorf("close the database: %w", err)
	}
	return nil
}

// transact runs do in one transaction and commits it. what names the call in errors.
func (s *Store) transact(ctx context.Context, what string, do func(tx *sqlx.Tx) error) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var tx *sqlx.Tx
	err := s.overStale(ctx, func() (err error) {
		tx, err = s.db.BeginTxx(ctx, nil)
		return err
	})
	if err != nil {
		return failed(what, err)
	}
	defer tx.Rollback()
	defer s.audits.forget(tx)
	if err := do(tx); err != nil {
		return failed(what, err)
	}
	if err := tx.Commit(); err != nil {
		return failed(what, fmt.Errorf("commit: %w", err))
	}
	s.logAudited(ctx, tx)
	return nil
}

// refusal wraps an error that a caller's function returned inside a transaction, to tell it from one of the database.
type refusal struct{ error }

// unrefused returns the caller's error without the refusal around it.
func unrefused(err error) error {
	var r refusal
	if errors.As(err, &r) {
		return r.error
	}
	return err
}
