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

// The shapes. Each has what the one before it has, so that the steps between them tell what costs what.
const (
	// shapeShards is one process of each kind, and as many history shards as a cluster has.
	shapeShards = "shards"
	// shapeNodes has Temporal of three nodes, beside one Postgres and one `waybill serve`.
	shapeNodes = "nodes"
	// shapeCluster is of as many processes as several machines would have (stack.Cluster). Publishers ask the first `api`.
	shapeCluster = "cluster"
)

func shapeNames() []string { return []string{shapeShards, shapeNodes, shapeCluster} }

// shapeOf returns what a stack is made of. An unknown name is one process of each kind, as "" is.
func shapeOf(name string) (s stack.Shape) {
	cluster := stack.Cluster()
	switch name {
	case shapeShards:
		s.Shards = cluster.Shards
	case shapeNodes:
		s.Shards, s.Nodes = cluster.Shards, cluster.Nodes
	case shapeCluster:
		s = cluster
	}
	return s
}

// checkShape refuses what cannot be measured in another shape.
func (o *options) checkShape() error {
	if o.shape == "" {
		return nil
	}
	return errors.Join(
		refuseUnknown("shape", []string{o.shape}, shapeNames()),
		refuse(o.given() || len(o.without) > 0, "-shape needs a stack that is brought up here, with all settings"),
		refuse(o.shape == shapeCluster && o.pprofDir != "", "-shape %s makes no profiles", shapeCluster),
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
