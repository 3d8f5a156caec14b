package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/lib/pq"
)

// sqlKillServe publishes half of the events by SQL.
func sqlKillServe() scenario {
	return scenario{
		name: "sql-kill-serve", what: "half of the events are published by SQL, and `serve` is killed six times", endpoints: usual, sql: true,
		faults: killServe(6),
	}
}

// transactLimit bounds one transaction. A Postgres that is killed ends it sooner.
const transactLimit = 15 * time.Second

// transact publishes by SQL, in a transaction as a producer's, and returns the status in the API's terms: 202 once COMMIT
// returned, 0 when nobody knows, 500 when Postgres refuses.
func (r *run) transact(ctx context.Context, _ int, e *event) int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactLimit)
	defer cancel()
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return statusOf(err)
	}
	_, err = tx.ExecContext(ctx, `SELECT `+r.table("publish")+`($1, $2, $3, $4, $5)`, r.tenant, eventType, e.data, e.id, occurred)
	if err != nil || e.withdrawn {
		_ = tx.Rollback() // what is not committed is rolled back by the end of the connection as well
		return statusOf(err)
	}
	return statusOf(tx.Commit())
}

func statusOf(err error) int {
	var refused *pq.Error
	switch {
	case err == nil:
		return http.StatusAccepted
	case !errors.As(err, &refused):
		return 0
	}
	switch refused.Code.Class() {
	case "08", "53", "57", "58": // no connection, no space, told to stop, trouble below Postgres
		return 0
	}
	return http.StatusInternalServerError
}

// checkOutbox makes sure that nothing of what came by SQL was refused.
func (r *run) checkOutbox(ctx context.Context, v *verdict) error {
	var refused int
	err := r.db.QueryRowContext(ctx, `SELECT count(*) FROM `+r.table("outbox_quarantine")+` WHERE tenant_id = $1`, r.tenant).Scan(&refused)
	if err == nil && refused > 0 {
		v.wrong("%d events that came by SQL are in quarantine", refused)
	}
	return err
}
