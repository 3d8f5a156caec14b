package main_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
)

// group is what the processes of one Waybill have in common: a schema of the database, a namespace of Temporal, keys.
type group struct {
	binary      string
	dir         string
	databaseURL string // the role's that owns nothing, which the processes have
	ownerURL    string
	schema      string
	namespace   string
	apiKey      string
	keys        string
	caFile      string
	// temporal and postgres are proxies between the processes and the test stack; nil in a group that was made without.
	temporal, postgres *proxy
	temporalAddress    string

	db       *sql.DB
	secrets  secrets
	cleanups cleanups
}

type groupOptions struct {
	temporalProxy, postgresProxy bool
}

// newGroup makes a group with its own, migrated schema and its own namespace.
func newGroup(o groupOptions) (*group, error) {
	g := &group{schema: strings.ReplaceAll(unique("e2e"), "-", "_"), namespace: unique("e2e"), apiKey: hex.EncodeToString(random(24))}
	g.keys = "k1:" + base64.StdEncoding.EncodeToString(random(32))
	g.secrets.add(g.apiKey, strings.TrimPrefix(g.keys, "k1:"))
	if err := g.prepare(o); err != nil {
		return nil, fmt.Errorf("prepare a group of processes: %w", errors.Join(err, g.close()))
	}
	return g, nil
}

// ownGroup makes a group for one test, which may cut and kill in it what it likes.
func ownGroup(t *testing.T, o groupOptions) *group {
	t.Helper()
	g, err := newGroup(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *group) prepare(o groupOptions) error {
	var err error
	if g.binary, err = variable("WAYBILL_TEST_BINARY"); err != nil {
		return err
	}
	if g.databaseURL, err = variable("WAYBILL_TEST_DATABASE_URL"); err != nil {
		return err
	}
	g.ownerURL = g.databaseURL
	if g.temporalAddress, err = variable("WAYBILL_TEST_TEMPORAL_ADDRESS"); err != nil {
		return err
	}
	if g.dir, err = os.MkdirTemp("", "waybill-e2e-"); err != nil {
		return err
	}
	g.cleanups.add(func() error { return os.RemoveAll(g.dir) })
	if g.caFile, err = writeAuthority(g.dir); err != nil {
		return err
	}
	if err := g.openDatabase(); err != nil {
		return err
	}
	if err := makeNamespace(g.temporalAddress, g.namespace); err != nil {
		return fmt.Errorf("make the namespace %s: %w", g.namespace, err)
	}
	if err := g.runMigrate(); err != nil {
		return err
	}
	if o.temporalProxy {
		if g.temporal, err = g.newProxy(&g.temporalAddress); err != nil {
			return err
		}
	}
	if o.postgresProxy {
		return g.proxyPostgres()
	}
	return nil
}

func (g *group) openDatabase() error {
	var err error
	if g.db, err = sql.Open("postgres", g.ownerURL); err != nil {
		return err
	}
	g.db.SetMaxOpenConns(2)
	g.cleanups.add(g.db.Close)
	g.cleanups.add(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := g.db.ExecContext(ctx, "DROP SCHEMA IF EXISTS "+pq.QuoteIdentifier(g.schema)+" CASCADE")
		return err
	})
	return g.useProcessRole()
}

// processRole is the role of all processes of all groups: it owns nothing, as an operator is told to have it.
const processRole, processPassword = "waybill_e2e", "e2e-process-password"

func (g *group) useProcessRole() error {
	_, err := g.db.Exec(`DO $$ BEGIN CREATE ROLE ` + processRole + ` LOGIN PASSWORD '` + processPassword + `';
		EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`)
	if err != nil {
		return fmt.Errorf("create the role of the processes: %w", err)
	}
	u, err := url.Parse(g.ownerURL)
	if err != nil {
		return fmt.Errorf("read WAYBILL_TEST_DATABASE_URL: %w", err)
	}
	password, _ := u.User.Password()
	g.secrets.add(password, processPassword)
	u.User = url.UserPassword(processRole, processPassword)
	g.databaseURL = u.String()
	return nil
}

// proxyPostgres puts a proxy in front of the database and rewrites the URL that the processes get.
func (g *group) proxyPostgres() error {
	u, err := url.Parse(g.databaseURL)
	if err != nil {
		return fmt.Errorf("read WAYBILL_TEST_DATABASE_URL: %w", err)
	}
	if g.postgres, err = g.newProxy(&u.Host); err != nil {
		return err
	}
	g.databaseURL = u.String()
	return nil
}

func (g *group) newProxy(address *string) (*proxy, error) {
	p, err := newProxy(*address)
	if err != nil {
		return nil, err
	}
	g.cleanups.add(p.close)
	*address = p.address()
	return p, nil
}

// close ends every process, looks through its log, and removes the schema. The namespace stays: it costs nothing, and
// to delete one is a long piece of work for the server that the other tests share.
func (g *group) close() error { return g.cleanups.run() }

// environ is the whole environment of the group's processes. A variable of extra overrules the group's.
func (g *group) environ(extra ...string) []string {
	return append([]string{
		"WAYBILL_LISTEN=127.0.0.1:0", "WAYBILL_LOG_LEVEL=debug",
		"WAYBILL_DATABASE_URL=" + g.databaseURL, "WAYBILL_DATABASE_SCHEMA=" + g.schema,
		"WAYBILL_TEMPORAL_ADDRESS=" + g.temporalAddress, "WAYBILL_TEMPORAL_NAMESPACE=" + g.namespace,
		"WAYBILL_API_KEY=" + g.apiKey, "WAYBILL_ENCRYPTION_KEYS=" + g.keys,
		"WAYBILL_EGRESS_ALLOW_CIDRS=127.0.0.0/8", "WAYBILL_EGRESS_CA_FILE=" + g.caFile,
	}, extra...)
}

// count returns how many rows of a table a tenant has.
func (g *group) count(t *testing.T, table, tenant string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var n int
	query := "SELECT count(*) FROM " + pq.QuoteIdentifier(g.schema) + "." + pq.QuoteIdentifier(table) + " WHERE tenant_id = $1"
	if err := g.db.QueryRowContext(ctx, query, tenant).Scan(&n); err != nil {
		t.Fatalf("count %s: %s", table, err)
	}
	return n
}

func (g *group) logFile(command string) string {
	return filepath.Join(g.dir, command+"-"+hex.EncodeToString(random(2))+".log")
}
