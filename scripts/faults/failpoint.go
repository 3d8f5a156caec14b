package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// failpointScenarios kill the process at each of the places that it has for that, or panic there.
func failpointScenarios() []scenario {
	var all []scenario
	for _, name := range []string{
		"before-commit", "after-commit", "before-reply", "after-claim", "after-start", "before-post", "after-response", "after-record", "short-delay", "express-after-post", "after-disable",
	} {
		all = append(all, atFailpoint(name))
	}
	return append(all, panics("panic"), panics("panic-express", "WAYBILL_EXPRESS=true"))
}

func atFailpoint(name string) scenario {
	s := scenario{name: name, what: "`serve` is killed at random, then at the failpoint `" + name + "`, and started again", endpoints: usual}
	switch name {
	case "express-after-post":
		s.env = []string{"WAYBILL_EXPRESS=true"}
	case "after-disable":
		s.endpoints = append(slices.Clone(usual), switched)
	}
	s.faults = func(ctx context.Context, r *run) error { return r.strike(ctx, name) }
	return s
}

// strike has the server die at a failpoint and starts it again. Every publication passes the places on its way, but two:
// after-claim is passed with what the relay finds, and after-disable when an endpoint is disabled.
func (r *run) strike(ctx context.Context, name string) error {
	pass := 5 + r.rnd.IntN(20)
	switch name {
	case "after-claim":
		// What this one accepts nobody but the relay starts: there is work for it however fast the machine is.
		if _, err := r.startServer(ctx, "api", "WAYBILL_DISPATCH=false"); err != nil {
			return err
		}
		pass = 1 + r.rnd.IntN(3)
	case "after-disable":
		pass = 1
	}
	env := slices.Clone(r.scenario.env)
	if err := r.crash(ctx, r.server, append(env, fmt.Sprintf("WAYBILL_FAILPOINTS=%s=kill:%d", name, pass))...); err != nil {
		return err
	}
	if name == "after-disable" {
		if err := r.disable(ctx, switched.name); err == nil {
			return errors.New("the endpoint was disabled and nobody died")
		}
	}
	if err := errors.Join(r.died(ctx, r.server), r.server.start(ctx, r.scenario.env...)); err != nil {
		return err
	}
	if name == "after-disable" {
		// The event was not accepted, so it is published again.
		if err := r.disable(ctx, switched.name); err != nil {
			return err
		}
	}
	return calm(2*time.Second)(ctx, r)
}

// died waits until a failpoint ends the server.
func (r *run) died(ctx context.Context, s *server) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	select {
	case <-s.Done():
		r.killed(time.Now())
		return nil
	case <-ctx.Done():
		return errors.New("the failpoint was not reached")
	}
}

// panics has an attempt panic, once, before its request. The process must live and make the attempt again.
func panics(name string, env ...string) scenario {
	return scenario{
		name: name, what: "an attempt panics once, and the process lives", endpoints: usual,
		env: append([]string{"WAYBILL_FAILPOINTS=before-post=panic:7"}, env...),
		faults: func(ctx context.Context, r *run) error {
			err := until(ctx, 40*time.Second, func() error { return r.server.logged("the failpoint before-post panics") })
			err = errors.Join(err, calm(3*time.Second)(ctx, r))
			if r.server.ended() {
				err = errors.Join(err, fmt.Errorf("the panic of an attempt ended the process\n%s", r.server.Tail()))
			}
			return err
		},
	}
}

// logged returns an error unless every one of the texts is in the server's log.
func (s *server) logged(texts ...string) error {
	log, err := os.ReadFile(s.log)
	if err != nil {
		return err
	}
	var missing []string
	for _, text := range texts {
		if !bytes.Contains(log, []byte(text)) {
			missing = append(missing, text)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("waybill did not log %d of %d texts, the first is %q", len(missing), len(texts), missing[0])
	}
	return nil
}
