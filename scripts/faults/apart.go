package main

import (
	"context"
	"errors"
	"time"
)

// apartScenarios have two of `waybill api` and two of `waybill worker` in place of serve.
func apartScenarios() []scenario {
	return []scenario{
		{
			name: "apart", what: "two `api` and two `worker`, each killed twice in a random order", endpoints: usual, command: "api",
			faults: killApart,
		},
		{
			name: "apart-workers-dispatch", what: "the same with `api` that leave the dispatching to the workers", endpoints: usual, command: "api",
			env: []string{"WAYBILL_DISPATCH=false"}, faults: killApart,
		},
	}
}

func killApart(ctx context.Context, r *run) error {
	all := []*server{r.server}
	for _, command := range []string{"api", "worker", "worker"} {
		s, err := r.startServer(ctx, command, r.scenario.env...)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	var errs []error
	for range 2 {
		for _, i := range r.rnd.Perm(len(all)) {
			errs = append(errs, r.crash(ctx, all[i], r.scenario.env...))
		}
	}
	return errors.Join(append(errs, calm(time.Second)(ctx, r))...)
}
