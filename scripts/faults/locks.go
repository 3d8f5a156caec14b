package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// lockHeldFor is longer than anything waits for a lock.
	lockHeldFor = 20 * time.Second
	// partitionWithin is how soon a process that starts makes the partitions that are missing.
	partitionWithin = 30 * time.Second
)

// parents are the tables that have a partition for each month.
var parents = []string{"events", "deliveries", "attempts"}

// lockHeld holds the locks of pg_dump while a process starts and finds partitions missing. Creating them must not make
// everybody else wait.
func lockHeld() scenario {
	var dropped, slow []string
	return scenario{
		name: "lock-held", what: "somebody holds the locks of pg_dump for 20 s while partitions are to be made", endpoints: []behavior{healthy},
		rate: besidesPerSecond,
		before: func(ctx context.Context, r *run) (err error) {
			dropped, err = r.dropNewest(ctx)
			return err
		},
		faults: func(ctx context.Context, r *run) error {
			pause(ctx, 2*time.Second)
			if err := r.withLocks(ctx, func() error {
				second, err := r.startServer(ctx, "serve")
				if err != nil {
					return err
				}
				slow = r.askWhile(ctx, lockHeldFor, question{promptly, []int{http.StatusOK}})
				return second.terminate()
			}); err != nil {
				return err
			}
			if _, err := r.startServer(ctx, "serve"); err != nil {
				return err
			}
			err := until(ctx, partitionWithin, func() error { return r.haveAll(ctx, dropped) })
			return errors.Join(err, calm(2*time.Second)(ctx, r))
		},
		also: func(_ context.Context, r *run, v *verdict) error {
			v.faults = append(v.faults, slow...)
			return errors.Join(r.judgePrompt(v), r.judgeAnswered(v))
		},
	}
}

// withLocks does something while a transaction holds what pg_dump holds.
func (r *run) withLocks(ctx context.Context, do func() error) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("hold locks: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, parent := range parents {
		if _, err := tx.ExecContext(ctx, `LOCK TABLE `+r.table(parent)+` IN ACCESS SHARE MODE`); err != nil {
			return fmt.Errorf("hold locks: %w", err)
		}
	}
	if err := do(); err != nil {
		return err
	}
	return tx.Rollback()
}

// newest is the name of a parent's partition of the latest month.
const newest = `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = $1::regclass AND c.relname ~ '_[0-9]{4}_[0-9]{2}$' ORDER BY c.relname DESC LIMIT 1`

// dropNewest drops the partitions of the latest month, which is a month to come, so that they are empty, and returns their
// names.
func (r *run) dropNewest(ctx context.Context) (dropped []string, err error) {
	for _, parent := range parents {
		var name string
		if err := r.db.QueryRowContext(ctx, newest, r.table(parent)).Scan(&name); err != nil {
			return nil, fmt.Errorf("find the newest partition of %s: %w", parent, err)
		}
		var rows int
		if err := r.db.QueryRowContext(ctx, `SELECT count(*) FROM `+r.table(name)).Scan(&rows); err != nil || rows > 0 {
			return nil, fmt.Errorf("the partition %s has %d rows and is not to be dropped, %w", name, rows, err)
		}
		if _, err := r.db.ExecContext(ctx, `DROP TABLE `+r.table(name)); err != nil {
			return nil, fmt.Errorf("drop %s: %w", name, err)
		}
		dropped = append(dropped, name)
	}
	return dropped, nil
}

// haveAll returns an error unless there are all of these partitions.
func (r *run) haveAll(ctx context.Context, names []string) error {
	for _, name := range names {
		var there bool
		if err := r.db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, r.table(name)).Scan(&there); err != nil {
			return fmt.Errorf("look for %s: %w", name, err)
		}
		if !there {
			return fmt.Errorf("the partition %s was not made again", name)
		}
	}
	return nil
}
