package main

import (
	"context"
	"errors"
	"time"
)

// persistenceFaults have Temporal fail by itself what it asks its database, first one call in a hundred, then one in
// twenty.
func persistenceFaults() scenario {
	return scenario{
		name: "temporal-persistence", what: "Temporal's own persistence fails 1 %, then 5 % of its calls, part of them after they were carried out",
		// Every write that times out makes Temporal load a shard anew: more than this only piles up.
		rate: 20,
		faults: func(ctx context.Context, r *run) error {
			defer r.stack.FailPersistence(0, 0)
			for _, rate := range []float64{0.01, 0.05} {
				r.stack.FailPersistence(rate, r.rnd.Uint64N(1<<31)+1)
				if err := r.around(ctx, 500*time.Millisecond, kill("temporal"), start("temporal")); err != nil {
					return err
				}
				pause(ctx, 8*time.Second)
				if err := r.logged("temporal", "fault injection error"); err != nil {
					return err
				}
			}
			r.stack.FailPersistence(0, 0)
			return errors.Join(r.around(ctx, 500*time.Millisecond, kill("temporal"), start("temporal")), ctx.Err())
		},
	}
}
