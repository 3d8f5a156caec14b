package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// workersCut is longer than a workflow task may take and than gRPC takes to find a connection dead.
	workersCut = 40 * time.Second
	waybillCut = 20 * time.Second
)

// cutWorkers cuts the workers off from Temporal. Both reach the database, and the `api` reach everything.
func cutWorkers(ctx context.Context, r *run) (err error) {
	if r.wires, err = newWires(ctx, r.stack.Frontends()); err != nil {
		return err
	}
	if _, err := r.startCluster(ctx, "WAYBILL_TEMPORAL_ADDRESS="+r.wires.addresses()); err != nil {
		return err
	}
	return r.cut(ctx, workersCut)
}

// cutWaybill cuts every process of Waybill off from Temporal.
func cutWaybill(ctx context.Context, r *run) error {
	if _, err := r.startCluster(ctx); err != nil {
		return err
	}
	return r.cut(ctx, waybillCut)
}

// cut cuts the wires under load and mends them.
func (r *run) cut(ctx context.Context, away time.Duration) error {
	var before int64
	breaks := func(context.Context, *run) error {
		if before = r.wires.passed(); before == 0 {
			return errors.New("nothing went through the wires before they were cut, so nothing would be shown")
		}
		r.wires.cut()
		before = r.wires.passed()
		return nil
	}
	mends := func(context.Context, *run) error {
		passed := r.wires.passed() - before
		r.wires.mend()
		if passed != 0 {
			return fmt.Errorf("%d bytes went through wires that were cut", passed)
		}
		return nil
	}
	// The load goes on for long enough to show that what comes after is delivered.
	return errors.Join(r.around(ctx, away, breaks, mends), calm(5*time.Second)(ctx, r))
}
