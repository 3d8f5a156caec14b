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
	// connectTimeout is for all servers of the URL together.
	connectTimeout      = 5 * time.Second
	leastConnectTimeout = time.Second // for each of them
	// maxIdleTime lets the pool shrink after a peak.
	maxIdleTime = 5 * time.Minute
	// maxLifetime makes a busy pool follow a change of the host name's address.
	maxLifetime = 30 * time.Minute
)

// A condition that only checks a row, such as the tenant of a delivery that is found by its id, is written tenant_id || ''
// = $1, so that no index can serve it. On a partition that was never analyzed the planner assumes that a tenant has only a
// few deliveries, or that few are held, and might read them all.

// session is set on every connection.
var session = map[string]string{
	"timezone": "UTC",
	// See notice, which needs the warnings.
	"client_min_messages": "warning",
	// A prepared statement keeps its plan. A plan made while the tables were small could be a sequential scan or a hash of
	// whole partitions, and would stay so when they have grown. Every statement here has an index.
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off",
	"enable_mergejoin": "off",
	// A bitmap joins the index that finds a few rows with that of a range which has thousands, where the planner knows neither number.
	"enable_bitmapscan": "off",
	// With array arguments the planner prefers custom plans and plans anew each time: 0.4 ms for a statement that runs in
	// 0.1 ms.
	"plan_cache_mode": "force_generic_plan",
}

// guardRails are settings by which the server itself ends statements and transactions that their process cannot end any
// more, because its request to cancel did not arrive or the process is gone.
func guardRails(timeout time.Duration) map[string]string {
	ms := strconv.FormatInt(max(timeout.Milliseconds(), 1), 10)
	return map[string]string{"statement_timeout": ms, "idle_in_transaction_session_timeout": ms}
}

// openPool opens a pool without connecting. The schema and the settings travel in the connection's start-up packet, so that
// every connection has them.
func openPool(url, schema string, maxConns int, settings map[string]string) (*sqlx.DB, error) {
	c, err := openConnector(url, schema, settings)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return sqlx.NewDb(db, "postgres"), nil
}

func openConnector(url, schema string, settings map[string]string) (*connector, error) {
	cfg, err := pq.NewConfig(withPorts(url))
	if err != nil || url == "" {
		// The parser's error may quote the password.
		return nil, errors.New("the database URL is not a connection string such as postgres://user:password@host:5432/name?sslmode=disable, or has an option behind the ? that is none")
	}
	cfg = cfg.Clone()
	for name, value := range session {
		cfg.Runtime[name] = value
	}
	maps.Copy(cfg.Runtime, settings)
	cfg.Runtime["search_path"] = pq.QuoteIdentifier(schema)
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "waybill"
	}
	return newConnector(cfg), nil
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
// further connection. An unprepared statement is planned each time, which costs more than running it, and more with every month that is
// kept.
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
	// The lock is not held while preparing, so that a slow connection delays only its own caller.
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

// hotRows returns the rows of a hot query outside of a transaction.
func hotRows[T any](ctx context.Context, s *Store, query string, args ...any) (rows []T, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err = s.overStale(ctx, func() error {
		stmt, err := s.hot.get(ctx, query)
		if err != nil {
			return err
		}
		rows = nil
		return stmt.SelectContext(ctx, &rows, args...)
	})
	return rows, err
}

// execHot runs a hot statement outside of a transaction. It may run twice, so the statement must be idempotent.
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

// overStale repeats do while it gets connections that broke while they were idle. After a restart of the database the whole
// pool is broken. database/sql repeats only for some of the errors that lib/pq returns. A call that took too long is not
// repeated, because it would take as long again.
func (s *Store) overStale(ctx context.Context, do func() error) error {
	for tries := s.opts.MaxConns; ; tries-- {
		err := do()
		var broken *net.OpError
		if tries == 0 || ctx.Err() != nil || errors.Is(err, errNoConnection) || !errors.As(err, &broken) || broken.Timeout() {
			return err
		}
	}
}

// hotTx is a transaction that can run the hot statements given at its beginning.
type hotTx struct {
	*sqlx.Tx
	prepared map[string]*sqlx.Stmt
}

// transactHot is transact with hot statements. They are prepared before the transaction has a connection. Otherwise many
// transactions could each wait for a second connection to prepare on, and none would get one.
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
