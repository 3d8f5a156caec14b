package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waybill/scripts/stack"
)

const (
	// smallDisk is what is free on the disk before it is filled.
	smallDisk = 64 << 20
	// diskFull is how long there is no space for tables, before the log of transactions is made to need some.
	diskFull = 6 * time.Second
)

// fullDisk fills Postgres' disk. First tables cannot grow, then the write-ahead log cannot. Then Postgres stops and cannot
// recover until there is space again.
func fullDisk() scenario {
	return scenario{
		name: "disk-full", what: "the disk of Postgres is full: tables cannot grow, then the write-ahead log; then there is space again",
		impossible: stack.SmallDiskPossible, refuses: true,
		faults: func(ctx context.Context, r *run) error {
			if err := r.betweenDisks(ctx, func() error { return r.stack.EnterSmallDisk(smallDisk) }); err != nil {
				return err
			}
			pause(ctx, 2*time.Second)
			err := r.fillDisk(ctx)
			return errors.Join(err, r.betweenDisks(ctx, r.stack.LeaveSmallDisk))
		},
	}
}

// betweenDisks stops Postgres, moves its data and starts it again.
func (r *run) betweenDisks(ctx context.Context, move func() error) error {
	return r.around(ctx, 0, func(context.Context, *run) error { return errors.Join(r.stack.StopPostgres(), move()) }, start("postgres"))
}

func (r *run) fillDisk(ctx context.Context) error {
	from := time.Now()
	if err := r.stack.FillSmallDisk(); err != nil {
		return err
	}
	pause(ctx, diskFull)
	// The write-ahead log has files to reuse, so this uses them up. It ends when Postgres stops.
	err := until(ctx, 30*time.Second, func() error {
		if _, err := r.db.ExecContext(ctx, `SELECT pg_switch_wal()`); err == nil {
			return errors.New("postgres finds space for its log on a full disk")
		}
		return nil
	})
	pause(ctx, 3*time.Second)
	err = errors.Join(err, r.logged("postgres", "No space left on device"), r.logged("postgres", "PANIC:"))
	if err := errors.Join(err, r.stack.FreeSmallDisk()); err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	if err := errors.Join(r.stack.Supervise(ctx, "postgres"), r.stack.Supervise(ctx, "temporal")); err != nil {
		return err
	}
	r.outage(from, time.Now().Add(afterOutage))
	return calm(3*time.Second)(ctx, r)
}
