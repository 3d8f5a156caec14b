package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lib/pq"

	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

// world is a Postgres and a Temporal with Waybill's tables in them, for one scenario after another.
type world struct {
	dir, binary                 string
	databaseURL, schema         string
	temporalAddress, temporalNS string
	apiKey, keys                string
	// authority is whose certificates Waybill trusts, kept in caFile.
	authority *receiver.Authority
	caFile    string
	db        *sql.DB
	// stack is set when the engine may be killed too.
	stack *stack.Stack
	// standby is that of a Postgres which the scenario may lose, ownTemporal whether the stack has a Temporal, which uses it.
	standby     *stack.Standby
	ownTemporal bool
	// end ends what the world has of its own; nil: nothing.
	end func() error
	// cluster, when set, is a world on a stack of several Temporal nodes and two Postgres servers, for those who share that.
	cluster *world
	// wires, when set, are what some of Waybill's processes reach Temporal by.
	wires wires
	// out, when set, takes what a long scenario has to tell meanwhile.
	out *stack.Printer
	// old is the git revision of the binary to roll from, and backlog how many events wait for a dead endpoint.
	old     string
	backlog int

	started int
	runs    int
	mu      sync.Mutex
	serve   []*server // those that take requests
	workers []*server // those that do not
}

// open prepares the tables. The caller has set where everything is.
func (w *world) open(ctx context.Context) error {
	w.apiKey = hex.EncodeToString(randomBytes(24))
	w.keys = "k1:" + base64.StdEncoding.EncodeToString(randomBytes(32))
	var err error
	if w.authority, err = receiver.NewAuthority(); err != nil {
		return err
	}
	w.caFile = filepath.Join(w.dir, "ca.pem")
	if err := os.WriteFile(w.caFile, w.authority.PEM(), 0o600); err != nil {
		return fmt.Errorf("keep the authority's certificate: %w", err)
	}
	if w.db, err = sql.Open("postgres", w.databaseURL); err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return w.migrate(ctx)
}

// migrate brings the tables to where the binary wants them.
func (w *world) migrate(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, w.binary, "migrate")
	cmd.Env = append(os.Environ(), w.env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("waybill migrate: %w\n%s", err, out)
	}
	return nil
}

func (w *world) close() error {
	errs := []error{w.wires.close()}
	if w.db != nil {
		errs = append(errs, w.db.Close())
	}
	if w.end != nil {
		errs = append(errs, w.end())
	}
	if w.cluster != nil {
		errs = append(errs, w.cluster.stack.Close())
	}
	return errors.Join(errs...)
}

func (w *world) say(format string, args ...any) {
	if w.out != nil {
		w.out.Say(format, args...)
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func (w *world) env() []string {
	return []string{
		"WAYBILL_LISTEN=127.0.0.1:0", "WAYBILL_LOG_LEVEL=info",
		"WAYBILL_DATABASE_URL=" + w.databaseURL, "WAYBILL_DATABASE_SCHEMA=" + w.schema,
		"WAYBILL_TEMPORAL_ADDRESS=" + w.temporalAddress, "WAYBILL_TEMPORAL_NAMESPACE=" + w.temporalNS,
		"WAYBILL_API_KEY=" + w.apiKey, "WAYBILL_ENCRYPTION_KEYS=" + w.keys,
		"WAYBILL_ALLOW_HTTP=true", "WAYBILL_EGRESS_ALLOW_CIDRS=127.0.0.0/8", "WAYBILL_EGRESS_CA_FILE=" + w.caFile,
	}
}

func (w *world) table(name string) string {
	return pq.QuoteIdentifier(w.schema) + "." + pq.QuoteIdentifier(name)
}

// serving registers a server that takes requests, or a worker that does not.
func (w *world) serving(s *server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	among := &w.serve
	if s.command == "worker" {
		among = &w.workers
	}
	if !slices.Contains(*among, s) {
		*among = append(*among, s)
	}
}

func (w *world) leaving(s *server) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, known := range w.serve {
		if known == s {
			w.serve = append(w.serve[:i:i], w.serve[i+1:]...)
			return
		}
	}
}

// address returns the nth address to send a request to, in turn; "" when nobody serves.
func (w *world) address(n int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.serve) == 0 {
		return ""
	}
	return *w.serve[n%len(w.serve)].address.Load() // set before it is among those that serve
}

// endServers kills what a scenario left running.
func (w *world) endServers() error {
	w.mu.Lock()
	left := slices.Concat(w.serve, w.workers)
	w.serve, w.workers = nil, nil
	w.mu.Unlock()
	var errs []error
	for _, s := range left {
		errs = append(errs, s.Kill())
	}
	return errors.Join(errs...)
}
