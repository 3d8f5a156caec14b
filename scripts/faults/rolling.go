package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

// crossing refuses every event twice and lives for eight seconds, so that its events begin with one binary and end with
// another.
var crossing = behavior{
	name: "crossing", schedule: []string{"3s", "5s", "5s", "5s", "5s"}, settles: []string{"delivered"},
	answer: func(_ string, number int) receiver.Behavior {
		if number <= 2 {
			return receiver.Status(503)
		}
		return receiver.Accept
	},
}

// rollingRestart replaces two servers of an old binary by the new one and goes back again, as a deployment and its
// rollback do.
func rollingRestart() scenario {
	var older, newer string
	return scenario{
		name: "rolling-restart", what: "two old `serve` replaced one by one by new ones, after the new `migrate`, and back again",
		endpoints: append(usual[:len(usual):len(usual)], crossing), rate: rollingPerSecond,
		in: func(ctx context.Context, w *world) (_ *world, err error) {
			if older, err = w.buildOld(ctx); err != nil {
				return nil, err
			}
			newer = w.binary
			return w.apart(ctx, older)
		},
		faults: func(ctx context.Context, r *run) error {
			second, err := r.startServer(ctx, "serve")
			if err != nil {
				return err
			}
			pause(ctx, betweenSteps)
			r.binary = newer
			if err := r.migrate(ctx); err != nil {
				return err
			}
			serving := []*server{r.server, second}
			for _, binary := range []string{newer, older} {
				r.binary = binary
				for i, s := range serving {
					if serving[i], err = r.replace(ctx, s); err != nil {
						return err
					}
				}
			}
			return calm(betweenSteps)(ctx, r)
		},
	}
}

// rollingPerSecond keeps even a busy machine from falling behind: what waits to be started crosses nothing.
const rollingPerSecond = 15

// betweenSteps is how long each mixture of binaries serves: longer than most of the delays between attempts.
const betweenSteps = 4 * time.Second

// replace starts a server of the world's binary and asks the other to stop.
func (r *run) replace(ctx context.Context, s *server) (*server, error) {
	pause(ctx, betweenSteps)
	next, err := r.startServer(ctx, "serve")
	if err != nil {
		return nil, err
	}
	pause(ctx, time.Duration(500+r.rnd.IntN(1000))*time.Millisecond)
	return next, s.terminate()
}

// apart is a world on the same stack with tables and a namespace of its own, both as the binary makes them.
func (w *world) apart(ctx context.Context, binary string) (*world, error) {
	name := fmt.Sprintf("apart_%x", randomBytes(4))
	if err := stack.EnsureNamespace(ctx, w.temporalAddress, name); err != nil {
		return nil, err
	}
	other := &world{
		dir: filepath.Join(w.dir, name), binary: binary, databaseURL: w.databaseURL, schema: name,
		temporalAddress: w.temporalAddress, temporalNS: name, stack: w.stack, out: w.out,
	}
	if err := os.Mkdir(other.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a world apart: %w", err)
	}
	return other, other.open(ctx)
}
