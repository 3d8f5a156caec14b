package postgres

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	connectTimeout = 5 * time.Second
	// maxIdleTime lets a pool shrink after a crowd.
	maxIdleTime = 5 * time.Minute
	// maxLifetime moves a busy pool to where the host name points by now.
	maxLifetime = 30 * time.Minute
)

// A condition that only checks what was found, such as the tenant of a delivery that is looked for by its id, is written
// tenant_id || '' = $1, which no index serves: on a partition that was never analyzed the planner believes that a tenant has
// but a few deliveries, or few are held, and would as soon read them all.

// session is set on every connection.
var session = map[string]string{
	"timezone": "UTC",
	// A prepared statement keeps its plan. Planned while the tables were small it would be a sequential scan or a hash of
	// whole partitions, and still be that when they have grown. Every statement here has an index to go by.
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off",
	"enable_mergejoin": "off",
	// With arrays for arguments the planner believes that a plan made for these very ones pays, and plans anew each time:
	// 0.4 ms for what runs in 0.1 ms.
	"plan_cache_mode": "force_generic_plan",
}

// guardRails are settings by which the server itself ends what a process of ours began and cannot end any more: its
// request to cancel did not arrive, or it is gone.
func guardRails(timeout time.Duration) map[string]string {
	ms := strconv.FormatInt(max(timeout.Milliseconds(), 1), 10)
	return map[string]string{"statement_timeout": ms, "idle_in_transaction_session_timeout": ms}
}

// openPool does not connect. The schema and the settings travel in the connection's start-up packet, so that every
// connection has them.
func openPool(url, schema string, maxConns int, settings map[string]string) (*sqlx.DB, error) {
	cfg, err := pq.NewConfig(url)
	if err != nil || url == "" {
		// The parser's own text may quote the password.
		return nil, errors.New("the database URL is not a connection string such as postgres://user:password@host:5432/name?sslmode=disable")
	}
	cfg = cfg.Clone()
	for name, value := range session {
		cfg.Runtime[name] = value
	}
	maps.Copy(cfg.Runtime, settings)
	cfg.Runtime["search_path"] = pq.QuoteIdentifier(schema)
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "waybill"
	}
	db := sql.OpenDB(&connector{cfg})
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return sqlx.NewDb(db, "postgres"), nil
}

// bounded gives a call its deadline.
func (s *Store) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.opts.Timeout)
}

// get reads one row.
func (s *Store) get(ctx context.Context, dest any, query string, args ...any) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.db.GetContext(ctx, dest, query, args...)
}

// list reads rows.
func (s *Store) list(ctx context.Context, dest any, query string, args ...any) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.db.SelectContext(ctx, dest, query, args...)
}

// exec runs a statement.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	_, err := s.db.ExecContext(ctx, query, args...)
	return err
}

// statements prepares each hot statement once for the pool, when it is first needed; database/sql prepares it on every
// further connection. An unprepared statement is planned anew each time, which costs more than running it.
type statements struct {
	db       *sqlx.DB
	mu       sync.Mutex
	prepared map[string]*sqlx.Stmt
}

func (s *statements) get(ctx context.Context, query string) (*sqlx.Stmt, error) {
	s.mu.Lock()
	stmt := s.prepared[query]
	s.mu.Unlock()
	if stmt != nil {
		return stmt, nil
	}
	// Not under the lock: a slow connection must hold up its own caller only.
	stmt, err := s.db.PreparexContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.prepared[query]; first != nil {
		return first, stmt.Close()
	}
	if s.prepared == nil {
		s.prepared = map[string]*sqlx.Stmt{}
	}
	s.prepared[query] = stmt
	return stmt, nil
}

// selectHot runs a hot query outside of a transaction. After a broken connection dest may hold rows twice.
func (s *Store) selectHot(ctx context.Context, dest any, query string, args ...any) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.overStale(ctx, func() error {
		stmt, err := s.hot.get(ctx, query)
		if err != nil {
			return err
		}
		return stmt.SelectContext(ctx, dest, args...)
	})
}

// execHot runs a hot statement outside of a transaction. It may run twice, so it must not matter.
func (s *Store) execHot(ctx context.Context, query string, args ...any) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return s.overStale(ctx, func() error {
		stmt, err := s.hot.get(ctx, query)
		if err != nil {
			return err
		}
		_, err = stmt.ExecContext(ctx, args...)
		return err
	})
}

// overStale repeats do while it meets connections that broke before, while they were idle: after a restart of the
// database the whole pool has. database/sql does so only for some of the ways in which lib/pq notices. What took too long
// is not repeated: it would take as long again.
func (s *Store) overStale(ctx context.Context, do func() error) error {
	for tries := s.opts.MaxConns; ; tries-- {
		err := do()
		var broken *net.OpError
		if tries == 0 || ctx.Err() != nil || !errors.As(err, &broken) || broken.Op == "dial" || broken.Timeout() {
			return err
		}
	}
}

// hotTx is a transaction that can run the hot statements it was begun with.
type hotTx struct {
	*sqlx.Tx
	prepared map[string]*sqlx.Stmt
}

// transactHot is transact with hot statements. They are prepared before the transaction holds a connection: if each of
// many transactions asked for a second one to prepare on, none would get it.
func (s *Store) transactHot(ctx context.Context, what string, queries []string, do func(tx hotTx) error) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	prepared := make(map[string]*sqlx.Stmt, len(queries))
	for _, query := range queries {
		stmt, err := s.hot.get(ctx, query)
		if err != nil {
			return failed(what, err)
		}
		prepared[query] = stmt
	}
	return s.transact(ctx, what, func(tx *sqlx.Tx) error { return do(hotTx{tx, prepared}) })
}

func (t hotTx) selectHot(ctx context.Context, dest any, query string, args ...any) error {
	return t.StmtxContext(ctx, t.prepared[query]).SelectContext(ctx, dest, args...)
}

func (t hotTx) execHot(ctx context.Context, query string, args ...any) error {
	_, err := t.StmtxContext(ctx, t.prepared[query]).ExecContext(ctx, args...)
	return err
}
