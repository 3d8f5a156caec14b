package main

import (
	"context"
	"time"

	"waybill/scripts/receiver"
)

// oneRequestScenarios have receivers whose answers let an HTTP client send a request again by itself. For Waybill one
// attempt is one request: what comes again is the next attempt, and is in the log.
func oneRequestScenarios() []scenario {
	one := func(name, what string, env ...string) scenario {
		return scenario{
			name: name, what: what, env: env, endpoints: append([]behavior{healthy}, resending()...),
			faults: calm(6 * time.Second), also: judgeOneRequest,
		}
	}
	return []scenario{
		one("one-request", "receivers answer GOAWAY with last stream 0 or REFUSED_STREAM, or close a connection when it is used again"),
		one("one-request-express", "the same in express mode", "WAYBILL_EXPRESS=true"),
	}
}

// resending are receivers that invite to send again. The header is one that net/http takes for a promise that this does no
// harm.
func resending() []behavior {
	headers := map[string]string{"Idempotency-Key": "one-key-for-all"}
	twice, closes := []string{"1s"}, receiver.Close
	return []behavior{
		{name: "goaway", frames: true, schedule: twice, headers: headers, answer: always(receiver.GoAway), settles: []string{"exhausted"}},
		{name: "refused", frames: true, schedule: twice, headers: headers, answer: always(receiver.RefuseStream), settles: []string{"exhausted"}},
		{
			name: "close-reused", apart: true, schedule: patient[:4], headers: headers, answer: always(receiver.Accept), reused: &closes,
			settles: []string{"delivered", "exhausted"}, // each attempt may meet a connection that was used before
		},
	}
}

// judgeOneRequest compares the arrivals with the attempts of the log, one for one, answered or not.
func judgeOneRequest(ctx context.Context, r *run, v *verdict) error {
	arrived, err := readLedger[arrival](r.path("arrivals"))
	if err != nil {
		return err
	}
	requests, unanswered := map[pair]int{}, map[string]int{}
	for _, a := range arrived {
		requests[pair{a.Event, a.Endpoint}]++
		if a.Status == 0 {
			unanswered[a.Endpoint]++
		}
	}
	log, err := r.readLog(ctx, v)
	if err != nil {
		return err
	}
	compareRequests(v, requests, log)
	for _, b := range resending() {
		if unanswered[b.name] == 0 {
			v.wrong("%s never invited to send again, so nothing is shown", b.name)
		}
	}
	return nil
}

// compareRequests wants no more requests than the log has attempts. A few attempts may have none: the receiver ends connections, and
// one that it is ending when an attempt takes it carries the request nowhere.
func compareRequests(v *verdict, requests map[pair]int, log map[pair]*row) {
	attempts, unseen := 0, 0
	for p, d := range log {
		attempts += len(d.made)
		unseen += max(len(d.made)-requests[p], 0)
		if requests[p] > len(d.made) {
			v.wrong("%v got %d requests for %d attempts", p, requests[p], len(d.made))
		}
	}
	if unseen > attempts/20 {
		v.wrong("of %d attempts %d never arrived", attempts, unseen)
	}
}
