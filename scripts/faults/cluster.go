package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waybill/scripts/stack"
)

// clusterPerSecond leaves room on a small machine that plays several.
const clusterPerSecond = 20

// clusterScenarios are on a stack that is made as several machines would have it: three Temporal nodes with a process for each of
// their services, two Postgres servers, two `api` and four `worker`. It is brought up for the first of them and shared.
func clusterScenarios() []scenario {
	all := []scenario{
		{name: "cluster-kill-node", what: "of three Temporal nodes one is killed with all of its services, then another", faults: killNodes},
		{name: "cluster-kill-service", what: "a frontend, a matching and a worker service of Temporal are killed, each on some node", faults: killServices},
		{name: "cluster-kill-history", what: "the history service that holds the shards of most workflows under way is killed, twice", faults: killHistory},
		{name: "cluster-kill-waybill", what: "two `api` and four `worker`, each killed once in a random order", faults: killWaybill},
		{name: "cluster-cut-workers", what: "nothing passes between the four `worker` and Temporal for 40 s, in neither direction", faults: cutWorkers},
		{name: "cluster-cut-waybill", what: "nothing passes between all of Waybill and Temporal for 20 s, in neither direction", faults: cutWaybill, in: wired},
	}
	for i := range all {
		all[i].command, all[i].rate = "api", clusterPerSecond
		all[i].endpoints, all[i].settleWithin = usual, 5*time.Minute
		if all[i].in == nil {
			all[i].in = inCluster
		}
	}
	return all
}

// inCluster is a world on the cluster with tables and a namespace of its own.
func inCluster(ctx context.Context, w *world) (*world, error) {
	if w.cluster == nil {
		s, err := openCluster(ctx, w)
		if err != nil {
			return nil, fmt.Errorf("bring up a cluster: %w", err)
		}
		w.cluster = &world{
			dir: w.dir, binary: w.binary, stack: s, databaseURL: s.DatabaseURL(s.Database), temporalAddress: s.TemporalAddress(), out: w.out,
		}
	}
	return w.cluster.apart(ctx, w.binary)
}

func openCluster(ctx context.Context, w *world) (*stack.Stack, error) {
	root, err := stack.FindRoot()
	if err != nil {
		return nil, err
	}
	shape := stack.Cluster()
	shape.Apart = true
	s, err := stack.OpenTestShape(ctx, root, shape, w.out)
	if err != nil {
		return nil, err
	}
	if err := s.Up(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// wired is a world on the cluster whose Waybill reaches Temporal by wires.
func wired(ctx context.Context, w *world) (*world, error) {
	in, err := inCluster(ctx, w)
	if err != nil {
		return nil, err
	}
	if in.wires, err = newWires(ctx, in.stack.Frontends()); err != nil {
		return nil, errors.Join(err, in.close())
	}
	in.temporalAddress = in.wires.addresses()
	return in, nil
}

// startCluster starts what the shape has beside the first `api`. env is of the workers alone.
func (r *run) startCluster(ctx context.Context, env ...string) ([]*server, error) {
	all := []*server{r.server}
	shape := stack.Cluster()
	for range shape.APIs - 1 {
		s, err := r.startServer(ctx, "api")
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	for range shape.Workers {
		s, err := r.startServer(ctx, "worker", env...)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
