package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lib/pq" // the driver "postgres"

	"waybill/scripts/stack"
)

// engine is the Postgres and the Temporal that Waybill is measured on: a stack that this program starts, or a given one.
type engine struct {
	// databaseURL and schema are where Waybill's tables are to be. Both are empty beside a Waybill that runs already.
	databaseURL, schema string
	// temporal is host:port, or several by commas, empty where none was given and so no floor can be measured.
	temporal, namespace string
	// dir takes the built command and its log; api and profiles are addresses that nobody listens on yet.
	dir, api, profiles string

	// watch ends a context when a part dies that this program started.
	watch func(context.Context) context.Context
	// up brings up what there is to bring up and returns the processes whose cost can be told: those it started.
	up    func(context.Context) ([]measuredProcess, error)
	close func() error
	// stores opens another database of the engine's Postgres; nil for one that was given.
	stores func(database string) (*sql.DB, error)
}

func openEngine(ctx context.Context, o *options, tag string, out *stack.Printer) (*engine, error) {
	if o.given() {
		return openGiven(o, tag)
	}
	return openStack(ctx, out, func(s *stack.Options) {
		s.Without, s.Shape = o.without, shapeOf(o.shape)
		if slices.Contains(o.cases, caseRetention) {
			s.DynamicConfig = retentionConfig
		}
	})
}

// openFloor opens a stack for the floor alone, with the settings of November 2026.
func openFloor(ctx context.Context, o *options, out *stack.Printer) (*engine, error) {
	return openStack(ctx, out, func(s *stack.Options) {
		s.Frozen = stack.Floor202611
		if slices.Contains(o.cases, caseRetention) {
			s.DynamicConfig = retentionConfig
		}
	})
}

func openStack(ctx context.Context, out *stack.Printer, change func(*stack.Options)) (*engine, error) {
	root, err := stack.FindRoot()
	if err != nil {
		return nil, err
	}
	s, err := stack.OpenTest(ctx, root, out, change, func(s *stack.Options) { s.CountStatements = true })
	if err != nil {
		return nil, err
	}
	return &engine{
		stores:      func(database string) (*sql.DB, error) { return sql.Open("postgres", s.DatabaseURL(database)) },
		databaseURL: s.DatabaseURL(s.Database), schema: "public", temporal: s.TemporalAddress(), namespace: s.Namespace,
		dir: s.Dir, api: s.Ports.API.Addr(), profiles: s.Ports.Demo.Addr(), watch: s.Watch, close: s.Close,
		up: func(ctx context.Context) ([]measuredProcess, error) {
			if err := s.Up(ctx); err != nil {
				return nil, err
			}
			return partsOf(s)
		},
	}, nil
}

// partsOf reads the records that a stack keeps of its processes.
func partsOf(s *stack.Stack) ([]measuredProcess, error) {
	var parts []measuredProcess
	for _, name := range append(s.TemporalNodes(), s.PostgresServers()...) {
		var record struct {
			PID int `json:"pid"`
		}
		text, err := os.ReadFile(filepath.Join(s.Dir, "run", name+".pid"))
		if err == nil {
			err = json.Unmarshal(text, &record)
		}
		if err != nil {
			return nil, fmt.Errorf("find the process %s: %w", name, err)
		}
		kind, _, _ := strings.Cut(name, "-") // the cost of all nodes and servers of a kind is told together
		parts = append(parts, measuredProcess{name: kind, pid: record.PID})
	}
	return parts, nil
}

// openGiven takes what is there. Waybill's tables go to a schema and its workflows to a namespace of their own, because
// cases empty the tables, and because two Waybills in one namespace would take each other's workflows. Both are removed
// in the end; a namespace that was named by the caller is used as it is, and stays.
func openGiven(o *options, tag string) (*engine, error) {
	ports, err := stack.FreePorts()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the log: %w", err)
	}
	e := &engine{
		databaseURL: o.databaseURL, schema: "waybill_bench_" + tag, temporal: o.temporal, namespace: o.namespace,
		dir: dir, api: ports.API.Addr(), profiles: ports.Demo.Addr(), watch: func(ctx context.Context) context.Context { return ctx },
	}
	made := false
	e.up = func(ctx context.Context) ([]measuredProcess, error) {
		if e.temporal == "" || e.namespace != "" {
			return nil, nil
		}
		e.namespace, made = "waybill-bench-"+tag, true
		return nil, stack.EnsureNamespace(ctx, e.temporal, e.namespace)
	}
	e.close = func() error {
		errs := []error{os.RemoveAll(dir), e.dropSchema()}
		if made {
			errs = append(errs, stack.DeleteNamespace(context.Background(), e.temporal, e.namespace))
		}
		return errors.Join(errs...)
	}
	return e, nil
}

// openDatabase opens the database, in which the tables need no schema's name.
func (e *engine) openDatabase() (*sql.DB, error) {
	u, err := url.Parse(e.databaseURL)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read") // the parser's error would show its password
	}
	query := u.Query()
	query.Set("search_path", e.schema)
	u.RawQuery = query.Encode()
	db, err := sql.Open("postgres", u.String())
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}

func (e *engine) dropSchema() error {
	if e.databaseURL == "" {
		return nil
	}
	db, err := e.openDatabase()
	if err != nil {
		return err
	}
	// The cleanup must run even when the run is interrupted.
	_, err = db.ExecContext(context.Background(), `DROP SCHEMA IF EXISTS `+pq.QuoteIdentifier(e.schema)+` CASCADE`)
	return errors.Join(err, db.Close())
}
