package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"
)

func statementsOf(process string) metric { return metric("statements_" + process) }
func commitsOf(process string) metric    { return metric("commits_" + process) }

// dropCosts drops what was spent on more than the deliveries that were measured.
func (f figures) dropCosts() {
	delete(f, cpuOf(load))
	for _, process := range systemProcesses() {
		for _, m := range []metric{cpuOf(process), statementsOf(process), commitsOf(process)} {
			delete(f, m)
		}
	}
}

// counter reads what Postgres has executed. What each event costs in statements does not waver with the machine. A nil counter counts
// nothing.
type counter struct{ db *sql.DB }

// openCounter returns nil where Postgres does not count.
func (e *engine) openCounter(ctx context.Context) (*counter, error) {
	if e.stores == nil {
		return nil, nil
	}
	db, err := e.stores("postgres")
	if err != nil {
		return nil, fmt.Errorf("open the counts of statements: %w", err)
	}
	_, err = db.ExecContext(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`)
	if err == nil {
		_, err = db.ExecContext(ctx, `SELECT FROM pg_stat_statements LIMIT 1`)
	}
	var problem *pq.Error
	if errors.As(err, &problem) { // it is not installed, or not loaded
		return nil, db.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("count statements: %w", err), db.Close())
	}
	return &counter{db}, nil
}

func (c *counter) close() error {
	if c == nil {
		return nil
	}
	return c.db.Close()
}

// executed are counts by whose databases they are of: "temporal" or "waybill".
type executed struct {
	statements, commits map[string]float64
}

// read returns everything so far. Beginning and ending a transaction is no statement; every transaction is a commit, that of a single
// statement too.
func (c *counter) read(ctx context.Context) (executed, error) {
	n := executed{map[string]float64{}, map[string]float64{}}
	if c == nil {
		return n, nil
	}
	rows, err := c.db.QueryContext(ctx, `
		SELECT d.datname, d.xact_commit,
			(SELECT coalesce(sum(calls), 0) FROM pg_stat_statements AS s WHERE s.dbid = d.datid AND s.query !~* '^(begin|commit|rollback)')
		FROM pg_stat_database AS d
		WHERE d.datname IS NOT NULL AND d.datname <> 'postgres' AND d.datname NOT LIKE 'template%'`)
	if err != nil {
		return n, fmt.Errorf("count statements: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var commits, statements float64
		if err := rows.Scan(&name, &commits, &statements); err != nil {
			return n, fmt.Errorf("count statements: %w", err)
		}
		whose := "waybill"
		if strings.HasPrefix(name, "temporal") {
			whose = "temporal"
		}
		n.statements[whose] += statements
		n.commits[whose] += commits
	}
	return n, rows.Err()
}

// addTo adds what was executed since, for each of n.
func (e executed) addTo(f figures, since executed, n int) {
	for whose, count := range e.statements {
		f[statementsOf(whose)] = ratio(count-since.statements[whose], float64(n))
		f[commitsOf(whose)] = ratio(e.commits[whose]-since.commits[whose], float64(n))
	}
}
