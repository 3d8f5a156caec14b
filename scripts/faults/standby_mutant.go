package main

import (
	"context"
	"time"
)

// staleStandby is Waybill on a standby that no COMMIT waits for. It receives nothing any more when the primary is lost, so what was
// answered 202 since then is missing. It is a scenario like the others, and no part of the table.
func staleStandby() scenario {
	return scenario{
		name: "mutant-stale-standby", endpoints: []behavior{healthy}, settleWithin: 15 * time.Second,
		in: func(ctx context.Context, w *world) (*world, error) { return w.onStandby(ctx, waybillFailsOver) },
		faults: func(ctx context.Context, r *run) error {
			pause(ctx, 2*time.Second)
			return r.failOver(ctx, r.standby.Asynchronous, r.standby.Cut, r.losePrimary, r.promote)
		},
	}
}
