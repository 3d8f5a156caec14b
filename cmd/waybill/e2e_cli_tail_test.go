package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tailed is a line of `waybill tail -o json`.
type tailed struct {
	Status     string `json:"status"`
	EventID    string `json:"event_id"`
	EndpointID string `json:"endpoint_id"`
	Reason     string `json:"reason"`
	Attempt    struct {
		Number     int `json:"number"`
		StatusCode int `json:"status_code"`
	} `json:"attempt"`
}

// Each attempt has one line, whatever happens to Waybill in between, and holding and canceling have theirs.
func TestTail(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_LISTEN="+freeAddress(t))
	tn, r := newTenant(t, s, "standard", nil), newReceiver(t, reply{status: 500}, reply{status: 500}, reply{status: 500}, reply{})
	e := tn.endpoint(t, r, fields{"retry": fields{"schedule": []string{"1s", "1s", "12s"}}})
	before := tn.publish(t, fields{"type": "order.confirmed", "data": 1, "id": "before"}, 1)
	tn.waitDelivery(t, before.Deliveries[0].ID, "retrying", 3)

	all := s.begin(t, "Deliveries of "+tn.id, "tail", "--tenant", tn.id, "-o", "json")
	delivered := s.begin(t, "Deliveries of "+tn.id, "tail", "--tenant", tn.id, "--status", "delivered")
	history := s.begin(t, "Deliveries of "+tn.id, "tail", "--tenant", tn.id, "--since", "1h", "-o", "json", "--status-code", "5xx,none", "--error-class", "http_status")

	first := tn.publish(t, fields{"type": "order.confirmed", "data": 1, "id": "first"}, 1)
	tn.waitDelivery(t, first.Deliveries[0].ID, "delivered", 1)
	s.kill(t)
	s.restart(t)
	tn.waitDelivery(t, before.Deliveries[0].ID, "delivered", 4)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", fields{"reason": "they asked"}).is(t, 200, nil)
	held := tn.publish(t, fields{"type": "order.confirmed", "data": 1, "id": "held"}, 1)
	tn.waitDelivery(t, held.Deliveries[0].ID, "held", 0)

	var got []string
	for _, text := range all.lines(t, 3) {
		var line tailed
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		require.Equal(t, e.ID, line.EndpointID)
		got = append(got, strings.Join([]string{line.EventID, line.Status, line.Reason}, " "))
	}
	require.ElementsMatch(t, []string{"first delivered ", "before delivered ", "held held they asked"}, got)
	delivered.lines(t, 2)
	for i, text := range history.lines(t, 3) {
		var line tailed
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		require.Equal(t, "before retrying", line.EventID+" "+line.Status)
		require.Equal(t, i+1, line.Attempt.Number)
		require.Equal(t, 500, line.Attempt.StatusCode)
	}
}

func TestTail_Usage(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, args := range [][]string{{}, {"--tenant", "x", "--status", "failed"}, {"--tenant", "x", "--status-code", "9"}, {"--tenant", "x", "--since", "-1h"}, {"--tenant", "x", "--status-code", "6xx"}} {
		_, said, code := s.finish(t, append([]string{"tail"}, args...)...)
		require.Equal(t, 2, code, said)
	}
	_, said, code := s.finish(t, "tail", "--tenant", "nobody")
	require.Equal(t, 1, code)
	require.Contains(t, said, "not_found")
}
