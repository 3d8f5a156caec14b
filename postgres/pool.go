package postgres

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	connectTimeout = 5 * time.Second
	// cancelTime is what a statement has on top of Options.Timeout to be canceled in order.
	cancelTime = 2 * time.Second
	// maxIdleTime lets a pool shrink after a crowd.
	maxIdleTime = 5 * time.Minute
	// maxLifetime moves a busy pool to where the host name points by now.
	maxLifetime = 30 * time.Minute
)

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

// openPool does not connect. The schema travels in the connection's start-up packet, so that every connection has it. A
// connection whose server takes longer than answer for a statement is lost; 0: it may take any time.
func openPool(url, schema string, maxConns int, answer time.Duration) (*sqlx.DB, error) {
	cfg, err := pq.NewConfig(url)
	if err != nil || url == "" {
		// The parser's own text may quote the password.
		return nil, errors.New("the database URL is not a connection string such as postgres://user:password@host:5432/name?sslmode=disable")
	}
	cfg = cfg.Clone()
	for name, value := range session {
		cfg.Runtime[name] = value
	}
	cfg.Runtime["search_path"] = pq.QuoteIdentifier(schema)
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "waybill"
	}
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, errors.New("the database URL asks for something that cannot be done")
	}
	connector.Dialer(dialer{answer})
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return sqlx.NewDb(db, "postgres"), nil
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
	return s.overStale(func() error {
		stmt, err := s.hot.get(ctx, query)
		if err != nil {
			return err
		}
		return stmt.SelectContext(ctx, dest, args...)
	})
}

// execHot runs a hot statement outside of a transaction. It may run twice, so it must not matter.
func (s *Store) execHot(ctx context.Context, query string, args ...any) error {
	return s.overStale(func() error {
		stmt, err := s.hot.get(ctx, query)
		if err != nil {
			return err
		}
		_, err = stmt.ExecContext(ctx, args...)
		return err
	})
}

// overStale repeats do while it meets connections that broke before, while they were idle: after a restart of the
// database the whole pool has. database/sql does so only for some of the ways in which lib/pq notices.
func (s *Store) overStale(do func() error) error {
	for tries := s.opts.MaxConns; ; tries-- {
		err := do()
		var broken *net.OpError
		if tries == 0 || !errors.As(err, &broken) || broken.Op == "dial" {
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
