package stack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/lib/pq"
)

// standbyName is the standby's for its primary, and that of its replication slot.
const standbyName = "waybill_standby"

// Standby is a Postgres server that streams from one of the stack's and can take its place.
type Standby struct {
	stack           *Stack
	primary, server pgServer
	address         *Wire // the primary's, once the standby has taken over
	silent          bool  // packets of the primary get lost
}

// OpenTestPostgres opens a test stack whose Postgres servers a test may lose, beside the usual one of the same run. name tells apart
// those of one run. UpPostgres brings up no more than Postgres.
func OpenTestPostgres(ctx context.Context, root, name string, out *Printer) (*Stack, error) {
	return openTest(ctx, root, "-"+name, Options{Out: out})
}

// UpPostgres brings up the Postgres servers of the stack alone.
func (s *Stack) UpPostgres(ctx context.Context) error { return s.startAllPostgres(ctx) }

// AddStandby gives the server that has a database a standby, from a base backup. Whoever commits waits for it from then on.
func (s *Stack) AddStandby(ctx context.Context, database string) (*Standby, error) {
	l, err := listenLow()
	if err != nil {
		return nil, fmt.Errorf("find a port for a standby: %w", err)
	}
	port := Port{Number: l.Addr().(*net.TCPAddr).Port, For: "a standby"}
	if err := l.Close(); err != nil {
		return nil, err
	}
	p := s.serverOf(database)
	b := &Standby{stack: s, primary: p, server: pgServer{p.name + "-standby", port, p.connections}}
	if err := b.copyPrimary(ctx); err != nil {
		return nil, fmt.Errorf("copy %s: %w", p.name, err)
	}
	if err := b.Start(ctx); err != nil {
		return nil, err
	}
	return b, b.Synchronous(ctx)
}

// copyPrimary makes the standby's data. The copy knows where to stream from, and its slot keeps what it has not yet got.
func (b *Standby) copyPrimary(ctx context.Context) error {
	pg, err := b.stack.installation(ctx)
	if err != nil {
		return err
	}
	who, err := postgresAccount()
	if err != nil {
		return err
	}
	data, err := b.stack.dataOf(b.server, who)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(data, 0o700), who.give(data)); err != nil {
		return err
	}
	from := fmt.Sprintf("host=127.0.0.1 port=%s user=%s password=%s application_name=%s", b.primary.port, superuser, b.stack.password, standbyName)
	return command{who: who, dir: "/"}.run(ctx, pg.program("pg_basebackup"), "--pgdata="+data, "--dbname="+from, "--write-recovery-conf",
		"--wal-method=stream", "--checkpoint=fast", "--create-slot", "--slot="+standbyName)
}

// Start starts the standby again and waits until it answers.
func (b *Standby) Start(ctx context.Context) error { return b.stack.startServer(ctx, b.server) }

// Stop stops the standby in good order.
func (b *Standby) Stop() error { return b.stack.signal(b.server.name, syscall.SIGINT) }

// Synchronous has every COMMIT of the primary wait for the standby, and returns once the standby has caught up.
func (b *Standby) Synchronous(ctx context.Context) error {
	if err := b.setOn(ctx, b.primary, "synchronous_standby_names", standbyName); err != nil {
		return err
	}
	return until(ctx, "the standby to catch up", time.Minute, func(ctx context.Context) error {
		var state string
		err := b.stack.withServer(b.primary, "postgres", func(db *sql.DB) error {
			return db.QueryRowContext(ctx, `SELECT sync_state FROM pg_stat_replication WHERE application_name = $1`, standbyName).Scan(&state)
		})
		if err == nil && state != "sync" {
			err = fmt.Errorf("the standby is %s", state)
		}
		return err
	}, nil)
}

// Asynchronous has no COMMIT wait for the standby any more.
func (b *Standby) Asynchronous(ctx context.Context) error {
	return b.setOn(ctx, b.primary, "synchronous_standby_names", "")
}

// Cut has the standby receive nothing any more.
func (b *Standby) Cut(ctx context.Context) error {
	if err := b.setOn(ctx, b.server, "primary_conninfo", ""); err != nil {
		return err
	}
	return until(ctx, "the standby to stop receiving", time.Minute, func(ctx context.Context) error {
		return b.stack.withServer(b.server, "postgres", func(db *sql.DB) error {
			var receivers int
			err := db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_wal_receiver`).Scan(&receivers)
			if err == nil && receivers > 0 {
				err = errors.New("it receives")
			}
			return err
		})
	}, nil)
}

// setOn changes a setting of a server that runs.
func (b *Standby) setOn(ctx context.Context, server pgServer, name, value string) error {
	return b.stack.withServer(server, "postgres", func(db *sql.DB) error {
		for _, query := range []string{"ALTER SYSTEM SET " + name + " = " + pq.QuoteLiteral(value), "SELECT pg_reload_conf()"} {
			if _, err := db.ExecContext(ctx, query); err != nil {
				return fmt.Errorf("set %s of %s: %w", name, server.name, err)
			}
		}
		return nil
	})
}

// pid returns the process of one of the stack's.
func (s *Stack) pid(name string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.procs {
		if p.Name == name {
			return p.cmd.Process.Pid, nil
		}
	}
	return 0, fmt.Errorf("%s does not run", name)
}

// LosePrimary ends every process of the primary at once, as the loss of its machine does.
func (b *Standby) LosePrimary() error {
	postmaster, err := b.stack.pid(b.primary.name)
	if err != nil {
		return err
	}
	backends, err := children(postmaster)
	if err != nil {
		return err
	}
	if err := b.stack.Kill(b.primary.name); err != nil {
		return err
	}
	for _, pid := range backends {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) { // most ended with their postmaster
			return fmt.Errorf("end a backend of %s: %w", b.primary.name, err)
		}
	}
	return nil
}

// Promote makes the standby a primary and returns once it takes writes.
func (b *Standby) Promote(ctx context.Context) error {
	return b.stack.withServer(b.server, "postgres", func(db *sql.DB) error {
		var promoted bool
		if err := db.QueryRowContext(ctx, `SELECT pg_promote()`).Scan(&promoted); err != nil || !promoted {
			return fmt.Errorf("promote the standby: %t, error: %w", promoted, err)
		}
		return nil
	})
}

// TakeOver has the address of the primary, which is gone, lead to the standby, as a virtual address or a proxy in front of both does.
func (b *Standby) TakeOver(ctx context.Context) (err error) {
	b.address, err = NewWire(ctx, b.primary.port.Addr(), b.server.port.Addr())
	return err
}

// Close gives the address up. The servers belong to the stack.
func (b *Standby) Close() error {
	err := b.endSilence()
	if b.address != nil {
		err = errors.Join(err, b.address.Close())
	}
	return err
}

// URL returns the URL of a database, for its owner, with both servers: whoever connects looks for the primary.
func (b *Standby) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, b.stack.password), Host: "127.0.0.1,127.0.0.1", Path: "/" + database}
	q := url.Values{}
	q.Set("sslmode", "disable")
	q.Set("port", b.primary.port.String()+","+b.server.port.String())
	q.Set("target_session_attrs", "read-write")
	u.RawQuery = q.Encode()
	return u.String()
}
