package main_test

import (
	"fmt"
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// crowd publishes so many events at once, and returns the answers.
func (tn *tenant) crowd(t *testing.T, events int) []*answer {
	t.Helper()
	answers, errs := make([]*answer, events), make([]error, events)
	var all sync.WaitGroup
	for i := range events {
		all.Go(func() { answers[i], errs[i] = tn.try("POST", tn.path+"/events", confirmed) })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	return answers
}

// isShed expects a 429 that says when to try again.
func (a *answer) isShed(t *testing.T) {
	t.Helper()
	require.Contains(t, a.isProblem(t, 429, "backlog_full").Detail, "send the request again")
	require.Regexp(t, `^[1-9]\d*$`, a.header.Get("Retry-After"))
}

// While Temporal is away events are accepted up to the limit, and what is shed is not stored. Once Temporal is back,
// events are accepted again, and what was accepted is delivered.
func TestBacklog_Full(t *testing.T) {
	t.Parallel()
	const limit = 20
	g := ownGroup(t, groupOptions{temporalProxy: true})
	g.temporal.cut()
	s := g.own(t, "serve", fmt.Sprintf("WAYBILL_MAX_BACKLOG=%d", limit))
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)

	accepted := 0
	publish := func(events int) {
		for _, a := range tn.crowd(t, events) {
			if a.status == 202 {
				accepted++
			} else {
				a.isShed(t)
			}
		}
		require.LessOrEqual(t, accepted, limit)
		require.Equal(t, accepted, g.count(t, "events", tn.id), "stored is what was answered with 202")
	}
	publish(3 * limit)
	require.NotZero(t, accepted)
	await(t, patience, "the limit to be reached", func() error { // an event may be counted twice until the next reading
		if publish(2); accepted < limit {
			return fmt.Errorf("%d events are accepted", accepted)
		}
		return nil
	})
	await(t, patience, "the metric to show the backlog", func() error {
		if a := tn.call(t, "GET", "/metrics", nil); !regexp.MustCompile(`(?m)^waybill_backlog_events 20$`).Match(a.body) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	tn.call(t, "POST", tn.path+"/events/batch", `{"events":[`+confirmed+`,`+confirmed+`]}`).isShed(t)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/test", nil).isShed(t)

	s.kill(t)
	s.restart(t)
	publish(2)
	require.Equal(t, limit, accepted, "a process that starts finds the backlog full")

	g.temporal.restore()
	await(t, patience, "events to be accepted again", func() error {
		a := tn.call(t, "POST", tn.path+"/events", confirmed)
		if a.status != 202 {
			a.isShed(t)
			return fmt.Errorf("%s", a.body)
		}
		return nil
	})
	r.wait(t, limit+1)
}

// A tenant that has filled the backlog is refused, and no other for its sake. What both published is delivered.
func TestBacklog_OfAnotherTenant(t *testing.T) {
	t.Parallel()
	const limit = 20
	g := ownGroup(t, groupOptions{temporalProxy: true})
	g.temporal.cut()
	s := g.own(t, "serve", fmt.Sprintf("WAYBILL_MAX_BACKLOG=%d", limit))
	noisy, quiet := newTenant(t, s, "standard", nil), newTenant(t, s, "standard", nil)
	toNoisy, toQuiet := newReceiver(t), newReceiver(t)
	noisy.endpoint(t, toNoisy, nil)
	quiet.endpoint(t, toQuiet, nil)

	await(t, patience, "the backlog to be full", func() error {
		for _, a := range noisy.crowd(t, limit) {
			if a.status != 202 {
				a.isShed(t)
				return nil
			}
		}
		return fmt.Errorf("it is not")
	})
	accepted := g.count(t, "events", noisy.id)
	for range limit / 4 {
		quiet.publish(t, confirmed, 1)
	}
	s.kill(t)
	s.restart(t)
	quiet.publish(t, confirmed, 1)
	noisy.call(t, "POST", noisy.path+"/events", confirmed).isShed(t)

	g.temporal.restore()
	toNoisy.wait(t, accepted)
	toQuiet.wait(t, limit/4+1)
}
