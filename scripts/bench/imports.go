package main

import (
	"context"
	"fmt"
)

// importedEvents are published in one transaction, as an update of that many rows behind a trigger does.
const importedEvents = 20_000

// What a producer writes into the outbox, with the function of the schema that is measured.
const (
	publishOne  = `SELECT %s.publish($1, $2, $3)`
	publishMany = `SELECT count(%s.publish($1, $2, $3)) FROM generate_series(1, $4)`
)

// publishingSQL returns a call that publishes one event in a transaction of its own.
func (r *rig) publishingSQL(tenant string) publish {
	query, data := fmt.Sprintf(publishOne, r.side.schema), eventData()
	return func(ctx context.Context) ([]eventID, int, error) {
		var text string
		if err := r.db.QueryRowContext(ctx, query, tenant, eventType, data).Scan(&text); err != nil {
			return nil, 1, fmt.Errorf("publish with SQL: %w", err)
		}
		id, err := parseEventID(text)
		return []eventID{id}, 0, err
	}
}

// importing publishes very many events in one transaction.
func importing(ctx context.Context, r *rig, share float64) (*noisyTenant, error) {
	noisy, err := newNoisy(ctx, r, 1, accepts)
	if err != nil {
		return nil, err
	}
	query, events := fmt.Sprintf(publishMany, r.side.schema), r.opts.scaled(importedEvents, share)
	noisy.run = func(ctx context.Context) {
		if _, err := r.db.ExecContext(ctx, query, noisy.id, eventType, eventData(), events); err != nil && ctx.Err() == nil {
			r.fail(fmt.Errorf("import events: %w", err))
		}
	}
	return noisy, nil
}
