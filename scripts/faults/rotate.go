package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	// rotations is how often each endpoint's secret is replaced, in rounds of three: the secret before it is retired; it is left valid;
	// and it ends, with the one before, by a rotation without an overlap.
	rotations = 6
	// rotationHolds is how long after its answer a request may still arrive that was signed before: it was on its way.
	rotationHolds = 2 * time.Second
)

// rotation is one secret of an endpoint taking the place of another. The nth, from 1, brings the endpoint's key n.
type rotation struct {
	asked, answered time.Time
	// ending is when the secret before it was asked to end, and ended when that was answered; zero: it was not.
	ending, ended time.Time
}

// rotateKillServe replaces the secrets of endpoints while `serve` dies in the middle of it.
func rotateKillServe() scenario {
	made := map[string][]rotation{} // by endpoint
	return scenario{
		name:      "rotate-kill-serve",
		what:      fmt.Sprintf("the secrets of two endpoints are rotated %d times and retired twice, and each time `serve` is killed in the middle", rotations),
		endpoints: usual[:2],
		before:    func(context.Context, *run) error { clear(made); return nil }, // the table goes round
		faults: func(ctx context.Context, r *run) error {
			for n := 1; n <= rotations; n++ {
				if err := r.whileKilled(ctx, func(name string) error { return r.rotate(ctx, name, n, made) }); err != nil {
					return err
				}
				pause(ctx, rotationHolds+time.Second) // the load shows what signs
				if n%3 != 1 {
					continue
				}
				if err := r.whileKilled(ctx, func(name string) error { return r.retire(ctx, name, made) }); err != nil {
					return err
				}
				pause(ctx, rotationHolds+time.Second)
			}
			return ctx.Err()
		},
		also: func(_ context.Context, r *run, v *verdict) error { return r.judgeRotations(v, made) },
	}
}

// whileKilled does something to every endpoint while the server is killed and started again.
func (r *run) whileKilled(ctx context.Context, do func(name string) error) error {
	after := time.Duration(r.rnd.IntN(60)) * time.Millisecond
	back := make(chan error, 1)
	go func() {
		pause(ctx, after)
		at := time.Now()
		if err := r.server.Kill(); err != nil {
			back <- err
			return
		}
		r.killed(at)
		back <- r.server.start(ctx, r.scenario.env...)
	}()
	var errs []error
	for _, b := range r.scenario.endpoints {
		errs = append(errs, do(b.name))
	}
	return errors.Join(append(errs, <-back)...)
}

// rotate brings an endpoint's nth secret. Its receiver knows it before, because nobody knows when it signs first.
func (r *run) rotate(ctx context.Context, name string, n int, made map[string][]rotation) error {
	secret := "whsec_" + base64.StdEncoding.EncodeToString(randomBytes(32))
	if err := r.receivers.learn(name, secret); err != nil {
		return err
	}
	overlap := "1h"
	if n%3 == 0 {
		overlap = "0s"
	}
	asked, answered, err := r.insist(ctx, name, "rotate-secret", map[string]any{"secret": secret, "overlap": overlap}, fmt.Sprintf("rotation %d", n))
	one := rotation{asked: asked, answered: answered}
	if n%3 == 0 {
		one.ending, one.ended = asked, answered
		before := &made[name][n-2]
		before.ending, before.ended = asked, answered
	}
	made[name] = append(made[name], one)
	return err
}

// retire ends the secret before an endpoint's last.
func (r *run) retire(ctx context.Context, name string, made map[string][]rotation) (err error) {
	last := &made[name][len(made[name])-1]
	last.ending, last.ended, err = r.insist(ctx, name, "retire-secret", nil, "")
	return err
}

// insist asks something of an endpoint until it is answered. key makes a repetition safe, "": it is.
func (r *run) insist(ctx context.Context, name, what string, in any, key string) (asked, answered time.Time, err error) {
	var headers []string
	if key != "" {
		headers = []string{"Idempotency-Key", key}
	}
	asked = time.Now()
	refused := errors.New("it was not asked")
	err = until(ctx, time.Minute, func() error {
		status, answer, err := r.ask(ctx, "http://"+r.address(0), "POST", "/v1/tenants/"+r.tenant+"/endpoints/"+r.ids[name]+"/"+what, in, headers...)
		if err != nil || status == http.StatusServiceUnavailable {
			return fmt.Errorf("%s was answered %d: %w", what, status, err)
		}
		refused = nil
		if status != http.StatusOK {
			refused = fmt.Errorf("%s of %s was answered %d: %s", what, name, status, answer)
		}
		return nil
	})
	return asked, time.Now(), errors.Join(err, refused)
}

// judgeRotations holds what signed each arrival to the rotations. That one of the endpoint's secrets did is the oracle's matter.
func (r *run) judgeRotations(v *verdict, made map[string][]rotation) error {
	arrived, err := readLedger[arrival](r.path("arrivals"))
	if err != nil {
		return err
	}
	by := map[string][]int{} // how many arrivals each secret of an endpoint signed
	for name := range made {
		by[name] = make([]int, rotations+1)
	}
	for _, a := range arrived {
		for _, key := range a.By {
			by[a.Endpoint][key]++
		}
		for n, one := range made[a.Endpoint] {
			if wrong := one.judge(n+1, &a); wrong != "" {
				v.wrong("%s at %s: arrival %d was signed by the secrets %v, %s", a.Event, a.Endpoint, a.Number, a.By, wrong)
			}
		}
	}
	for name, counts := range by {
		for key, n := range counts {
			if n == 0 {
				v.wrong("nothing arrived at %s that its secret %d signed, so nothing is shown", name, key)
			}
		}
	}
	return nil
}

// judge says what is wrong with the secrets that signed an arrival, as far as the rotation to key n goes; "": nothing.
func (o *rotation) judge(n int, a *arrival) string {
	holds := a.At.After(o.answered.Add(rotationHolds))
	switch {
	case holds && len(a.By) > 0 && slices.Max(a.By) < n:
		return fmt.Sprintf("and not by %d, which is in force", n)
	case holds && (o.ending.IsZero() || a.At.Before(o.ending)) && !slices.Contains(a.By, n-1):
		return fmt.Sprintf("and not by %d, whose overlap goes on", n-1)
	case !o.ended.IsZero() && a.At.After(o.ended.Add(rotationHolds)) && slices.Contains(a.By, n-1):
		return fmt.Sprintf("of which %d has ended", n-1)
	default:
		return ""
	}
}
