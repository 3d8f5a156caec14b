package stack

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"
)

// superuser owns every database of the stack's Postgres.
const superuser = "waybill"

// systemData is where a lasting stack run by root keeps its data when Postgres' user cannot reach the checkout.
const systemData = "/var/lib/waybill"

// processRole is what Waybill's processes log in with: it owns nothing. `waybill migrate` grants it what it needs.
const processRole = "waybill_app"

// pgServer is one of the stack's Postgres servers.
type pgServer struct {
	// name is that of its process and of its data folder.
	name string
	port Port
	// connections is how many it takes; 0: as postgres.conf says.
	connections int
}

// mainPostgres has Waybill's database, and Temporal's as well unless the shape gives these a server of their own.
func (s *Stack) mainPostgres() pgServer { return pgServer{"postgres", s.Ports.Postgres, s.Connections} }

// serverOf returns the server that has a database.
func (s *Stack) serverOf(database string) pgServer {
	if slices.Contains(TemporalDatabases, database) {
		return s.temporalPostgres()
	}
	return s.mainPostgres()
}

// DatabaseURL returns the URL of a database of this stack, for its owner.
func (s *Stack) DatabaseURL(database string) string {
	return databaseURL(s.serverOf(database), superuser, s.password, database)
}

func databaseURL(on pgServer, role, password, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password),
		Host: on.port.Addr(), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// installation returns the Postgres for the stack's data: of their version where there are some.
func (s *Stack) installation(ctx context.Context) (pgInstall, error) {
	data, err := s.notedDataDir()
	if err != nil {
		return pgInstall{}, err
	}
	return requirePostgres(ctx, dataMajor(data), s.Out)
}

// startAllPostgres brings up every Postgres server of the shape.
func (s *Stack) startAllPostgres(ctx context.Context) error {
	if err := s.startPostgres(ctx); err != nil || !s.Shape.OwnPostgres {
		return err
	}
	return s.startServer(ctx, s.temporalPostgres())
}

// startPostgres brings up the first Postgres server, with an empty database for Waybill.
func (s *Stack) startPostgres(ctx context.Context) error {
	if err := s.startServer(ctx, s.mainPostgres()); err != nil {
		return err
	}
	return s.createDatabase(ctx, s.Database)
}

// startServer brings up a Postgres server on its data, made on first use.
func (s *Stack) startServer(ctx context.Context, srv pgServer) error {
	pg, err := s.installation(ctx)
	if err != nil {
		return err
	}
	// This comes after the installation, which may have created user postgres.
	who, err := postgresAccount()
	if err != nil {
		return err
	}
	data, err := s.dataOf(srv, who)
	if err != nil {
		return err
	}
	if dataMajor(data) == 0 {
		if err := s.Out.During("creating a Postgres database", func() error { return s.initPostgres(ctx, pg, who, data) }); err != nil {
			return fmt.Errorf("create the Postgres data folder: %w", err)
		}
	}
	if err := s.writePostgresConf(data, who); err != nil {
		return err
	}
	args := []string{"-D", data, "-p", srv.port.String()}
	if srv.connections > 0 {
		args = append(args, "-c", "max_connections="+strconv.Itoa(srv.connections))
	}
	args = append(args, s.countingStatements(pg)...)
	p, err := s.start(processSpec{
		name: srv.name, path: pg.program("postgres"), who: who, args: args,
		// It starts in its own folder, because the account may not enter ours.
		dir: data,
		// SIGINT is Postgres' fast shutdown: it ends sessions rather than wait for them.
		stop: syscall.SIGINT, grace: 30 * time.Second, orphaned: syscall.SIGINT,
		hint: "Start again with make run; if it stays like this, `make clean` starts over with empty data.",
	})
	if err != nil {
		return err
	}
	return until(ctx, "Postgres", time.Minute, func(ctx context.Context) error { return s.ping(ctx, srv) }, p.failure)
}

// dataOf returns the folder for a server's data, beside the first one's.
func (s *Stack) dataOf(srv pgServer, who *account) (string, error) {
	first, err := s.dataDir(who)
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(first), srv.name), nil
}

// dataDir returns the folder for the first Postgres server's data and notes it: in the state folder if Postgres' user can get there,
// otherwise in a place outside that stays the same from run to run.
func (s *Stack) dataDir(who *account) (string, error) {
	if noted, err := s.notedDataDir(); err != nil || noted != "" {
		return noted, err
	}
	reachable, err := who.reaches(s.Dir)
	if err != nil {
		return "", err
	}
	data := s.path("postgres")
	switch {
	case reachable:
	case s.Temporary:
		parent, err := os.MkdirTemp("", "waybill-test-")
		if err != nil {
			return "", fmt.Errorf("choose a data folder: %w", err)
		}
		if err := os.Chmod(parent, 0o711); err != nil {
			return "", fmt.Errorf("choose a data folder: %w", err)
		}
		data = filepath.Join(parent, "postgres")
	default:
		sum := sha256.Sum256([]byte(s.Root))
		data = filepath.Join(systemData, hex.EncodeToString(sum[:6]), "postgres")
		s.Out.Say("Postgres runs as user %s, who cannot reach %s: its data goes to %s", who.name, s.Dir, data)
	}
	if err := os.WriteFile(s.path("postgres-dir"), []byte(data+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("note the data folder: %w", err)
	}
	return data, nil
}

// notedDataDir returns the data folder chosen by an earlier run, empty when there is none.
func (s *Stack) notedDataDir() (string, error) {
	note, err := os.ReadFile(s.path("postgres-dir"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read where the data is: %w", err)
	}
	return strings.TrimSpace(string(note)), nil
}

// dataMajor returns the Postgres version a data folder belongs to, 0 when it is not there.
func dataMajor(data string) int {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text))) // an unreadable file counts as absent
	return major
}

// initPostgres makes the data folder aside and moves it in place, so that it is whole or absent.
func (s *Stack) initPostgres(ctx context.Context, pg pgInstall, who *account, data string) error {
	aside := data + ".new"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(aside), 0o711); err != nil {
		return err
	}
	if err := os.Mkdir(aside, 0o700); err != nil {
		return err
	}
	if err := who.give(aside); err != nil {
		return err
	}
	// initdb reads the password from a file as the account, which may not enter the state folder.
	pwfile, err := os.CreateTemp("", "waybill-initdb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(pwfile.Name()) }()
	_, err = pwfile.WriteString(s.password + "\n")
	if err := errors.Join(err, pwfile.Close(), who.give(pwfile.Name())); err != nil {
		return err
	}
	// There is a password even on the loopback address, because other users of the machine reach it too.
	err = command{who: who, dir: "/"}.run(ctx, pg.program("initdb"), "--pgdata", aside, "--username", superuser,
		"--pwfile", pwfile.Name(), "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C")
	if err != nil {
		return err
	}
	return os.Rename(aside, data)
}

// writePostgresConf puts our settings in place of initdb's, on every start, so that a change in the checkout counts.
func (s *Stack) writePostgresConf(data string, who *account) error {
	conf, err := os.ReadFile(s.postgresConfig())
	if err != nil {
		return fmt.Errorf("read Postgres' settings: %w", err)
	}
	path := filepath.Join(data, "postgresql.conf")
	if err := os.WriteFile(path, []byte(s.postgresSettings(string(conf))), 0o600); err != nil {
		return fmt.Errorf("write Postgres' settings: %w", err)
	}
	return who.give(path)
}

func (s *Stack) ping(ctx context.Context, srv pgServer) error {
	return s.withServer(srv, "postgres", func(db *sql.DB) error { return db.PingContext(ctx) })
}

func (s *Stack) createDatabase(ctx context.Context, name string) error {
	return s.withServer(s.serverOf(name), "postgres", func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(name))
		var problem *pq.Error
		if errors.As(err, &problem) && problem.Code.Name() == "duplicate_database" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
		return nil
	})
}

// createProcessRole creates the role of Waybill's processes, if it is not there, and sets its password.
func (s *Stack) createProcessRole(ctx context.Context, password string) error {
	return s.withDatabase(s.Database, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "CREATE ROLE "+processRole)
		var problem *pq.Error
		if err != nil && (!errors.As(err, &problem) || problem.Code.Name() != "duplicate_object") {
			return fmt.Errorf("create the role %s: %w", processRole, err)
		}
		if _, err := db.ExecContext(ctx, "ALTER ROLE "+processRole+" LOGIN PASSWORD "+pq.QuoteLiteral(password)); err != nil {
			return fmt.Errorf("set the password of the role %s: %w", processRole, err)
		}
		return nil
	})
}

// withDatabase lends a connection to one of the stack's databases.
func (s *Stack) withDatabase(name string, use func(*sql.DB) error) error {
	return s.withServer(s.serverOf(name), name, use)
}

// withServer lends a connection to a database of one of the Postgres servers.
func (s *Stack) withServer(srv pgServer, name string, use func(*sql.DB) error) error {
	db, err := sql.Open("postgres", databaseURL(srv, superuser, s.password, name))
	if err != nil {
		return fmt.Errorf("open database %s: %w", name, err)
	}
	return errors.Join(use(db), db.Close())
}
