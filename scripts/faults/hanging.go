package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// databaseHung is how long no process of Postgres does anything.
	databaseHung = 20 * time.Second
	// askers ask at the same time: more than Waybill has connections.
	askers = 10
)

// databaseHangs suspends Postgres without closing a connection. With few connections requests queue for them, which makes
// it worse. Every request must be answered before its client gives up.
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
			slow = r.askWhile(ctx, databaseHung, question{r.http.Timeout, []int{http.StatusOK, http.StatusServiceUnavailable}})
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

// question says which answers askWhile accepts.
type question struct {
	within   time.Duration
	statuses []int
}

// askWhile reads by the API for so long and returns what was not answered as it should.
func (r *run) askWhile(ctx context.Context, d time.Duration, q question) []string {
	tenant := "/v1/tenants/" + r.tenant
	first := tenant + "/events/" + r.event(1).id // asked for until it is accepted
	paths := []string{"/readyz", tenant + "/endpoints", tenant + "/deliveries?limit=10", first, first + "/history"}
	ctx, stop := context.WithTimeout(ctx, d)
	defer stop()
	var mu sync.Mutex
	var wrong []string
	var asking sync.WaitGroup
	for i := range askers {
		asking.Go(func() {
			path := paths[i%len(paths)]
			for ctx.Err() == nil {
				began := time.Now()
				status, _, err := r.ask(context.WithoutCancel(ctx), "http://"+r.address(0), "GET", path, nil)
				took := time.Since(began)
				if err != nil || took > q.within || !slices.Contains(q.statuses, status) {
					mu.Lock()
					wrong = append(wrong, fmt.Sprintf("GET %s was answered %d after %s, error: %v", path, status, took.Round(time.Millisecond), err))
					mu.Unlock()
				}
				pause(ctx, 100*time.Millisecond)
			}
		})
	}
	asking.Wait()
	return wrong
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
