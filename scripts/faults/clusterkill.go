package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"waybill/scripts/stack"
)

// nodeAway is how long a part of Temporal is away. The others find it dead and take over what it held within that time.
const nodeAway = 5 * time.Second

// strikeNodes kills processes of Temporal's at the same moment, and starts them again once others hold their shards.
func (r *run) strikeNodes(ctx context.Context, names ...string) error {
	kill := func(context.Context, *run) error {
		var errs []error
		for _, name := range names {
			errs = append(errs, r.stack.Kill(name))
		}
		return errors.Join(errs...)
	}
	start := func(ctx context.Context, _ *run) error {
		if err := until(ctx, time.Minute, func() error { return r.takenOver(ctx, names) }); err != nil {
			return err
		}
		var starts []func(context.Context) error
		for _, name := range names {
			starts = append(starts, func(ctx context.Context) error { return r.stack.StartNode(ctx, name) })
		}
		return stack.Parallel(ctx, starts...)
	}
	return r.around(ctx, nodeAway, kill, start)
}

// takenOver succeeds once none of the processes holds a history shard.
func (r *run) takenOver(ctx context.Context, names []string) error {
	shards, err := r.stack.Shards(ctx)
	if err != nil {
		return err
	}
	for _, s := range shards {
		if slices.Contains(names, s.Owner) {
			return fmt.Errorf("the history shard %d is still %s's", s.ID, s.Owner)
		}
	}
	return nil
}

// killNodes kills two nodes of three, one after the other. What a node is made of begins with its name.
func killNodes(ctx context.Context, r *run) error {
	if _, err := r.startCluster(ctx); err != nil {
		return err
	}
	for _, i := range r.rnd.Perm(stack.Cluster().Nodes)[:2] {
		var names []string
		for _, name := range r.stack.TemporalNodes() {
			if strings.HasPrefix(name, fmt.Sprintf("temporal-%d-", i+1)) {
				names = append(names, name)
			}
		}
		if err := r.strikeNodes(ctx, names...); err != nil {
			return err
		}
	}
	return nil
}

// killServices kills the services that hold no shards.
func killServices(ctx context.Context, r *run) error {
	if _, err := r.startCluster(ctx); err != nil {
		return err
	}
	for _, service := range []string{"frontend", "matching", "worker"} {
		name := fmt.Sprintf("temporal-%d-%s", 1+r.rnd.IntN(stack.Cluster().Nodes), service)
		if err := r.strikeNodes(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// killHistory kills who holds most of what is under way.
func killHistory(ctx context.Context, r *run) error {
	if _, err := r.startCluster(ctx); err != nil {
		return err
	}
	for range 2 {
		pause(ctx, 2*time.Second)
		shards, err := r.stack.Shards(ctx)
		if err != nil {
			return err
		}
		open := map[string]int{}
		busiest := ""
		for _, s := range shards {
			if open[s.Owner] += s.Open; s.Owner != "" && open[s.Owner] > open[busiest] {
				busiest = s.Owner
			}
		}
		if len(open) < 2 || open[busiest] == 0 {
			return fmt.Errorf("no history service of several has workflows under way: %v", open)
		}
		if err := r.strikeNodes(ctx, busiest); err != nil {
			return err
		}
	}
	return nil
}

func killWaybill(ctx context.Context, r *run) error {
	all, err := r.startCluster(ctx)
	if err != nil {
		return err
	}
	for _, i := range r.rnd.Perm(len(all)) {
		if err := r.crash(ctx, all[i]); err != nil {
			return err
		}
	}
	return calm(2*time.Second)(ctx, r)
}
