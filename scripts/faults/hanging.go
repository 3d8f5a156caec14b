package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// databaseHung is how long no process of Postgres does anything.
	databaseHung = 20 * time.Second
	// askers ask at the same time while the database hangs: more than Waybill has connections.
	askers = 8
)

// databaseHangs has Postgres stand still without closing a connection. Few connections make it worse: requests queue for
// them. Every request must be answered before its client gives up.
func databaseHangs() scenario {
	var slow []string
	return scenario{
		name: "database-hangs", what: "every process of Postgres stands still for 20 s and goes on; `serve` has 4 connections",
		env: []string{"WAYBILL_DATABASE_MAX_CONNS=4"}, refuses: true,
		faults: func(ctx context.Context, r *run) error {
			pause(ctx, 2*time.Second)
			from := time.Now()
			resume, err := r.stack.PausePostgres()
			if err != nil {
				return err
			}
			slow = r.askWhile(ctx, databaseHung)
			if err := resume(); err != nil {
				return err
			}
			r.outage(from, time.Now().Add(afterOutage))
			return calm(3*time.Second)(ctx, r)
		},
		also: func(_ context.Context, r *run, v *verdict) error {
			v.faults = append(v.faults, slow...)
			return r.judgeAnswered(v)
		},
	}
}

// askWhile reads by the API for so long and returns what was not answered in time.
func (r *run) askWhile(ctx context.Context, d time.Duration) []string {
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	var mu sync.Mutex
	var slow []string
	var asking sync.WaitGroup
	for i := range askers {
		asking.Go(func() {
			path := []string{"/readyz", "/v1/tenants/" + r.tenant, "/v1/tenants/" + r.tenant + "/deliveries", "/v1/tenants/" + r.tenant + "/events"}[i%4]
			for ctx.Err() == nil {
				began := time.Now()
				status, _, err := r.ask(context.WithoutCancel(ctx), "http://"+r.address(0), "GET", path, nil)
				if err != nil || status != http.StatusOK && status != http.StatusServiceUnavailable {
					mu.Lock()
					slow = append(slow, fmt.Sprintf("GET %s after %s: %d, %v", path, time.Since(began).Round(time.Millisecond), status, err))
					mu.Unlock()
				}
				pause(ctx, 100*time.Millisecond)
			}
		})
	}
	asking.Wait()
	return slow
}

// judgeAnswered finds publications that got no answer. Where no process was killed, none may.
func (r *run) judgeAnswered(v *verdict) error {
	answers, err := readLedger[answered](r.path("answers"))
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Status == 0 {
			v.wrong("the publication of %s was not answered within %s", a.Event, r.http.Timeout)
		}
	}
	return nil
}
