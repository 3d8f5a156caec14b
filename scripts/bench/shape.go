package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"waybill/scripts/stack"
)

// shapeCluster is of as many processes as several machines would have (stack.Cluster). Publishers ask the first `api`.
const shapeCluster = "cluster"

// checkShape refuses what cannot be measured in a cluster.
func (o *options) checkShape() error {
	given := o.given() || len(o.without) > 0 || o.pprofDir != ""
	return errors.Join(
		refuse(o.shape != "" && o.shape != shapeCluster, "-shape: there is no %q, there is %s", o.shape, shapeCluster),
		refuse(o.shape == shapeCluster && given, "-shape cluster needs a stack that is brought up here, with all settings, and makes no profiles"),
	)
}

// frontend is one of Temporal's, for the floor's client, which takes no list.
func (e *engine) frontend() string {
	first, _, _ := strings.Cut(e.temporal, ",")
	return first
}

// serveCluster starts every `api` and `worker` of the shape.
func (r *rig) serveCluster(ctx context.Context, env ...string) error {
	if err := r.startServer(ctx, "api", env...); err != nil {
		return err
	}
	shape := stack.Cluster()
	for i := range shape.APIs - 1 + shape.Workers {
		command := "worker"
		if i < shape.APIs-1 {
			command = "api"
		}
		ports, err := stack.FreePorts()
		if err != nil {
			return err
		}
		own := slices.Concat(r.settings(), env, []string{"WAYBILL_LISTEN=" + ports.API.Addr(), "WAYBILL_WORKER_LISTEN=" + ports.API.Addr()})
		logFile := filepath.Join(r.engine.dir, fmt.Sprintf("waybill-%d.log", i+2))
		s, err := startServer(ctx, r.side.binary, []string{command}, own, logFile, "http://"+ports.API.Addr(), r.fail)
		if err != nil {
			return err
		}
		r.further = append(r.further, s)
	}
	return nil
}
