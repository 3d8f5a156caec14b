package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// publishMany publishes events in one request and returns their ids, in order.
func (tn *tenant) publishMany(t *testing.T, n int) []string {
	t.Helper()
	events := make([]fields, n)
	for i := range events {
		events[i] = fields{"type": "order.confirmed", "data": i}
	}
	var answered struct {
		Results []struct {
			ID string `json:"id"`
		} `json:"results"`
	}
	tn.call(t, "POST", tn.path+"/events/batch", fields{"events": events}).is(t, 200, &answered)
	require.Len(t, answered.Results, n)
	ids := make([]string, n)
	for i, r := range answered.Results {
		require.NotEmpty(t, r.ID)
		ids[i] = r.ID
	}
	return ids
}

// waitCount waits until so many of a tenant's deliveries have a status.
func (tn *tenant) waitCount(t *testing.T, status string, n int) {
	t.Helper()
	await(t, 3*patience, fmt.Sprintf("%d deliveries to be %s", n, status), func() error {
		got := 0
		next := "?limit=100&status=" + status
		for next != "" {
			var list struct {
				Data       []delivery `json:"data"`
				NextCursor string     `json:"next_cursor"`
			}
			tn.call(t, "GET", tn.path+"/deliveries"+next, nil).is(t, 200, &list)
			got += len(list.Data)
			if next = ""; list.NextCursor != "" {
				next = "?limit=100&status=" + status + "&cursor=" + list.NextCursor
			}
		}
		if got != n {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

// What is held leaves no workflow open. Enabling the endpoint sends all of it once, oldest first, more and more at a time, and its
// queue ends.
func TestQueue_HoldsAndDrains(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	o := newOperator(t, tn.server.group)
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", `{"reason":"it moves"}`).is(t, 200, nil)
	const events = 300
	ids := tn.publishMany(t, events)
	tn.waitCount(t, "held", events)
	ofTenant := "WaybillTenant = '" + tn.id + "' AND ExecutionStatus = "
	o.finds(t, ofTenant+"'Running'", "")
	await(t, patience, "all workflows to have ended", func() error { // lists of workflows are late
		out, err := o.try("workflow", "count", "--query", ofTenant+"'Completed' AND WorkflowType = 'EventDelivery'")
		if err == nil && !strings.Contains(out, fmt.Sprint(events)) {
			err = fmt.Errorf("it says %s", out)
		}
		return err
	})
	o.finds(t, ofTenant+"'Running'", "")
	require.Empty(t, r.got())

	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/enable", nil).is(t, 200, nil)
	tn.waitCount(t, "delivered", events)
	order := map[string]int{}
	for i, id := range ids {
		order[id] = i
	}
	got := r.wait(t, events)
	early := 0
	for i, a := range got {
		at, known := order[a.header.Get("Webhook-Id")]
		require.True(t, known)
		delete(order, a.header.Get("Webhook-Id"))
		if i < events/2 && at < events/2 {
			early++
		}
	}
	require.Empty(t, order, "each arrived once")
	require.Greater(t, early, events/2-64, "the oldest first, but for those that are on their way at the same time")
	o.finds(t, ofTenant+"'Running'", "")
}

// A process that is killed while it drains loses nothing. Another goes on once its leases have ended.
func TestQueue_Killed(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t, reply{after: 200 * time.Millisecond})
	e := tn.endpoint(t, r, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", nil).is(t, 200, nil)
	const events = 200
	tn.publishMany(t, events)
	tn.waitCount(t, "held", events)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/enable", nil).is(t, 200, nil)
	await(t, patience, "the queue to be on its way", func() error {
		if got := len(r.got()); got < 20 {
			return fmt.Errorf("%d have come", got)
		}
		return nil
	})
	s.kill(t)
	r.answers(reply{})
	s.restart(t)
	tn.waitCount(t, "delivered", events)
	seen := map[string]bool{}
	got := r.got()
	for _, a := range got {
		seen[a.header.Get("Webhook-Id")] = true
	}
	require.Len(t, seen, events)
	require.LessOrEqual(t, len(got), events+32, "twice only what was under way")
}

// A queue whose workflow is terminated by hand is brought back by the reconciler. Nobody else tells that it is gone.
func TestQueue_Terminated(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_RECONCILE_AFTER=2s")
	o := newOperator(t, g)
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"6s", "1h"}}})
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)
	path := tn.path + "/endpoints/" + e.ID
	tn.call(t, "POST", path+"/disable", nil).is(t, 200, nil)
	d := tn.publish(t, confirmed, 1).Deliveries[0].ID
	tn.waitDelivery(t, d, "held", 0)
	r.answers(fails(1)...)
	tn.call(t, "POST", path+"/enable", nil).is(t, 200, nil)
	tn.waitDelivery(t, d, "retrying", 1)
	queue := tn.id + "/queue/" + e.ID
	await(t, patience, "the queue to sleep", func() error {
		out, err := o.try("workflow", "query", "--workflow-id", queue, "--type", "queue_status", "--output", "json")
		if err == nil && !strings.Contains(out, "next attempt of what waits") {
			err = fmt.Errorf("it says %s", out)
		}
		return err
	})
	o.run(t, "workflow", "terminate", "--workflow-id", queue, "--reason", "by mistake")

	tn.waitDelivery(t, d, "delivered", 2)
	tn.waitReconciled(t, "1", "0")
	r.wait(t, 2)
}

// A person with nothing but Temporal's command line looks at a queue, wakes it, and enables its endpoint.
func TestQueue_Operated(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1h"}}})
	o := newOperator(t, tn.server.group)
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", nil).is(t, 200, nil)
	d := tn.publish(t, confirmed, 1).Deliveries[0].ID
	tn.waitDelivery(t, d, "held", 0)
	r.answers(reply{status: 500})
	o.enable(t, tn, e)
	tn.waitDelivery(t, d, "retrying", 1)

	queue := tn.id + "/queue/" + e.ID
	await(t, patience, "the queue to sleep", func() error {
		out, err := o.try("workflow", "query", "--workflow-id", queue, "--type", "queue_status", "--output", "json")
		if err != nil {
			return err
		}
		var answer struct {
			QueryResult []struct {
				Waiting int    `json:"waiting"`
				Sent    int    `json:"sent"`
				Window  int    `json:"window"`
				Why     string `json:"why"`
			} `json:"queryResult"`
		}
		if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.QueryResult) != 1 {
			return fmt.Errorf("it says %s", out)
		}
		if q := answer.QueryResult[0]; q.Waiting != 1 || q.Sent < 1 || q.Window < 1 || q.Why == "" {
			return fmt.Errorf("it says %+v", q)
		}
		return nil
	})
	o.finds(t, "WorkflowType = 'EndpointQueue' AND ExecutionStatus = 'Running' AND WorkflowId = '"+queue+"'", queue)
	o.run(t, "workflow", "signal", "--workflow-id", queue, "--name", "wake")
	o.run(t, "workflow", "signal", "--workflow-id", queue, "--name", "wake", "--input", `"whatever a person types"`)
	o.run(t, "workflow", "signal", "--workflow-id", queue, "--name", "disable_endpoint", "--input", `{"endpoint_id":"`+e.ID+`","reason":"ops"}`)
	require.Equal(t, "ops", tn.waitDelivery(t, d, "held", 1).Reason)
	r.wait(t, 1)
	tn.call(t, "DELETE", tn.path+"/endpoints/"+e.ID, nil).is(t, 204, nil)
	require.Equal(t, "the endpoint was deleted", tn.waitDelivery(t, d, "canceled", 1).Reason)
	o.finds(t, "ExecutionStatus = 'Running' AND WorkflowId = '"+queue+"'", "")
}
