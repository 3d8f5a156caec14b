package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recoveryRun is a recovery as the API shows it.
type recoveryRun struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	Matched   int    `json:"matched"`
	Sent      int    `json:"sent"`
	Delivered int    `json:"delivered"`
	Failed    int    `json:"failed"`
}

func (tn *tenant) recover(t *testing.T, e *endpoint, more fields) *recoveryRun {
	t.Helper()
	var r recoveryRun
	tn.call(t, "POST", tn.path+"/recoveries", fields{"endpoint_id": e.ID}.with(more)).is(t, 201, &r)
	return &r
}

// waitRecovery waits until a recovery is as ok wants it.
func (tn *tenant) waitRecovery(t *testing.T, id, what string, ok func(r *recoveryRun) bool) *recoveryRun {
	t.Helper()
	var r recoveryRun
	await(t, patience, "a recovery to be "+what, func() error {
		tn.call(t, "GET", tn.path+"/recoveries/"+id, nil).is(t, 200, &r)
		if !ok(&r) {
			return fmt.Errorf("it is %+v", r)
		}
		return nil
	})
	return &r
}

func completed(r *recoveryRun) bool { return r.Status == "completed" }

// exhaust publishes n events to the only endpoint, whose receiver must fail, and waits until each is exhausted.
func (tn *tenant) exhaust(t *testing.T, n int, event fields, attempts int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = tn.publish(t, event, 1).Deliveries[0].ID
	}
	for _, id := range ids {
		tn.waitDelivery(t, id, "exhausted", attempts)
	}
	return ids
}

// An endpoint fails until it is disabled. Meanwhile its events are held. Its people mend it, enable it with a test, and send again what
// it did not get. The log and the operator's tenant tell the story.
func TestRecovery_Story(t *testing.T) {
	t.Parallel()
	s := ownGroup(t, groupOptions{}).own(t, "serve", "WAYBILL_OPERATOR_TENANT=ops")
	told := newReceiver(t)
	ops := &tenant{caller: s.admin(), id: "ops", path: "/v1/tenants/ops"}
	ops.call(t, "POST", "/v1/tenants", fields{"id": "ops", "name": "Operators", "dialect": "standard"}).is(t, 201, nil)
	ops.endpoint(t, told, nil)

	tn := newTenant(t, s, "tradevine", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, fields{"event_types": []string{"product.updated"}})
	event := fields{"type": "product.updated", "data": fields{"Code": "P1"}}
	lost := tn.exhaust(t, 5, event, 2)
	await(t, patience, "ten failures to disable the endpoint", func() error { return tn.endpointIs(t, e.ID, "disabled") })
	require.Equal(t, "failures", tn.showEndpoint(t, e.ID).Disabled.By)
	first := r.wait(t, 10)

	var held []string
	for range 3 {
		held = append(held, tn.publish(t, event, 1).Deliveries[0].ID)
	}
	for _, id := range held {
		tn.waitDelivery(t, id, "held", 0)
	}
	for _, id := range []string{held[0], lost[0]} {
		require.Contains(t, tn.call(t, "POST", tn.path+"/deliveries/"+id+"/retry", nil).isProblem(t, 409, "conflict").Detail, "disabled")
	}

	enable := tn.path + "/endpoints/" + e.ID + "/enable"
	p := tn.call(t, "POST", enable, `{"test":true}`).isProblem(t, 409, "conflict")
	require.Contains(t, p.Detail, "500")
	require.NoError(t, tn.endpointIs(t, e.ID, "disabled"))
	r.wait(t, 11)
	for _, id := range held {
		tn.waitDelivery(t, id, "held", 0)
	}

	r.answers(reply{})
	var enabled struct {
		Status string
		Test   struct {
			DeliveryID string `json:"delivery_id"`
		}
	}
	tn.call(t, "POST", enable, `{"test":true}`).is(t, 200, &enabled)
	require.Equal(t, "enabled", enabled.Status)
	tn.waitDelivery(t, enabled.Test.DeliveryID, "delivered", 1)
	for _, id := range held {
		tn.waitDelivery(t, id, "delivered", 1)
	}

	tn.call(t, "POST", tn.path+"/deliveries/"+lost[0]+"/retry", nil).is(t, 202, nil)
	tn.waitDelivery(t, lost[0], "delivered", 3)
	var count struct {
		Matched int            `json:"matched"`
		ByType  map[string]int `json:"by_type"`
	}
	tn.call(t, "POST", tn.path+"/recoveries", fields{"endpoint_id": e.ID, "dry_run": true}).is(t, 200, &count)
	require.Equal(t, 4, count.Matched)
	require.Equal(t, map[string]int{"product.updated": 4}, count.ByType)
	run := tn.recover(t, e, nil)
	require.Equal(t, 4, run.Matched)
	got := tn.waitRecovery(t, run.ID, "completed", completed)
	require.Equal(t, []int{4, 4, 4, 0}, []int{got.Matched, got.Sent, got.Delivered, got.Failed})

	all := r.waitAnswered(t, 10+1+1+3+5)
	for _, id := range lost {
		attempts := tn.attempts(t, id)
		require.Len(t, attempts, 3)
		require.Equal(t, []int{500, 500, 200}, []int{attempts[0].StatusCode, attempts[1].StatusCode, attempts[2].StatusCode})
		require.Equal(t, id == lost[0], attempts[2].Manual, "a person asked for this one alone")
	}
	again := map[string]int{}
	for _, a := range all[11:] {
		again[string(a.body)]++
	}
	for _, a := range first {
		require.Equal(t, 1, again[string(a.body)], "each arrives once, with the bytes of its first attempt, its id among them")
	}
	tn.toldStory(t, told, e, map[string]int{
		"endpoint.failing": 1, "endpoint.disabled": 1, "endpoint.enabled": 1, "delivery.exhausted": 5, "recovery.completed": 1,
	})
	var quarantine struct{ Data []any }
	tn.call(t, "GET", "/v1/quarantine", nil).is(t, 200, &quarantine)
	require.Empty(t, quarantine.Data, "what is published fits its schema")
}

// toldStory expects operational events about the endpoint, so many of each type.
func (tn *tenant) toldStory(t *testing.T, told *receiver, e *endpoint, want map[string]int) {
	t.Helper()
	total := 0
	for _, n := range want {
		total += n
	}
	got := map[string]int{}
	for _, a := range told.wait(t, total) {
		var event struct {
			Type string `json:"type"`
			Data struct {
				Tenant     string `json:"tenant"`
				EndpointID string `json:"endpoint_id"`
			} `json:"data"`
		}
		require.NoError(t, json.Unmarshal(a.body, &event))
		require.Equal(t, []string{tn.id, e.ID}, []string{event.Data.Tenant, event.Data.EndpointID})
		require.NotContains(t, string(a.body), "/hook", "no path of a URL")
		got[event.Type]++
	}
	require.Equal(t, want, got)
}

// A delivery is sent again after its event's workflow closed, and in express mode where there never was one: the same bytes and ids,
// attempts numbered on. A second click does no harm.
func TestRetry_Settled(t *testing.T) {
	t.Parallel()
	for _, express := range []bool{false, true} {
		t.Run(fmt.Sprintf("express %t", express), func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, shared(t), "standard", fields{"express": express, "retry": fields{"schedule": []string{}}})
			r := newReceiver(t, reply{status: 500})
			tn.endpoint(t, r, nil)
			sent := tn.publish(t, confirmed, 1)
			id := sent.Deliveries[0].ID
			tn.waitDelivery(t, id, "exhausted", 1)
			await(t, patience, "the workflow to close", func() error {
				if h := tn.history(t, sent.ID); h.Source == "live" {
					return fmt.Errorf("the %s answers", h.Source)
				}
				return nil
			})

			r.answers(reply{after: time.Second})
			for range 2 {
				tn.call(t, "POST", tn.path+"/deliveries/"+id+"/retry", `{"reason":"mended"}`).is(t, 202, nil)
			}
			tn.waitDelivery(t, id, "delivered", 2)
			got := r.wait(t, 2)
			requireBytes(t, string(got[0].body), got[1].body)
			require.Equal(t, got[0].header.Get("Webhook-Id"), got[1].header.Get("Webhook-Id"))
			attempts := tn.attempts(t, id)
			require.Equal(t, []bool{false, true}, []bool{attempts[0].Manual, attempts[1].Manual})
			require.Len(t, tn.history(t, sent.ID).Deliveries[0].Attempts, 2, "the history goes on")

			// What was delivered can be sent again, too.
			tn.call(t, "POST", tn.path+"/deliveries/"+id+"/retry", nil).is(t, 202, nil)
			tn.waitDelivery(t, id, "delivered", 3)
			r.wait(t, 3)
		})
	}
}

// A delivery that is opened again gets the whole retry policy.
func TestRetry_WholePolicyAgain(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t, reply{status: 500})
	tn.endpoint(t, r, nil)
	id := tn.exhaust(t, 1, fields{"type": "order.confirmed", "data": 1}, 2)[0]
	tn.call(t, "POST", tn.path+"/deliveries/"+id+"/retry", nil).is(t, 202, nil)
	tn.waitDelivery(t, id, "exhausted", 4)
	got := r.wait(t, 4)
	require.GreaterOrEqual(t, got[3].at.Sub(got[2].at), time.Second)
	attempts := tn.attempts(t, id)
	require.True(t, attempts[2].Manual)
	require.False(t, attempts[3].Manual, "the schedule asked for the last")
}

// A recovery is canceled half way: what it did not send is as it was.
func TestRecovery_Canceled(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, nil)
	ids := tn.exhaust(t, 10, fields{"type": "order.confirmed", "data": 1}, 1)
	r.answers(reply{})
	run := tn.recover(t, e, fields{"rate": 1})
	tn.call(t, "POST", tn.path+"/recoveries", fields{"endpoint_id": e.ID}).isProblem(t, 409, "conflict")
	tn.waitRecovery(t, run.ID, "under way", func(r *recoveryRun) bool { return r.Delivered >= 2 })
	var canceled recoveryRun
	tn.call(t, "POST", tn.path+"/recoveries/"+run.ID+"/cancel", nil).is(t, 200, &canceled)
	require.Equal(t, "canceled", canceled.Status)
	require.Less(t, canceled.Sent, 10)
	await(t, patience, "what was under way to end", func() error {
		if left := tn.deliveries(t, "?status=pending,retrying"); len(left) > 0 {
			return fmt.Errorf("%+v", left)
		}
		return nil
	})
	delivered := tn.deliveries(t, "?status=delivered")
	require.Len(t, tn.deliveries(t, "?status=exhausted"), 10-len(delivered))
	require.Less(t, len(delivered), 10)
	tn.waitDelivery(t, ids[0], "delivered", 2) // the oldest first

	rest := tn.recover(t, e, nil)
	got := tn.waitRecovery(t, rest.ID, "completed", completed)
	require.Equal(t, 10-len(delivered), got.Delivered)
	r.wait(t, 20)
}

// An endpoint that was deleted and made anew gets what it missed: the same events under the same ids.
func TestRecovery_Missed(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, fields{"event_types": []string{"order.*"}})
	var events []string
	for i := range 3 {
		events = append(events, tn.publish(t, fields{"type": "order.confirmed", "data": i}, 1).ID)
	}
	before := r.wait(t, 3)
	tn.call(t, "DELETE", tn.path+"/endpoints/"+e.ID, nil).is(t, 204, nil)
	events = append(events, tn.publish(t, fields{"type": "order.confirmed", "data": 3}, 0).ID)
	tn.publish(t, fields{"type": "item.sold", "data": 4}, 0)

	anew := newReceiver(t)
	e = tn.endpoint(t, anew, fields{"event_types": []string{"order.*"}})
	run := tn.recover(t, e, fields{"missed": true})
	require.Equal(t, 4, run.Matched)
	got := tn.waitRecovery(t, run.ID, "completed", completed)
	require.Equal(t, []int{4, 4}, []int{got.Sent, got.Delivered})
	arrived := anew.wait(t, 4)
	for _, a := range before {
		require.True(t, slices.ContainsFunc(arrived, func(b arrival) bool { return string(a.body) == string(b.body) }), "the bytes of the event")
	}
	var ids []string
	for _, d := range tn.deliveries(t, "?endpoint="+e.ID) {
		ids = append(ids, d.EventID)
	}
	slices.Reverse(ids)
	require.Equal(t, events, ids, "in the order of publication")
	again := tn.recover(t, e, fields{"missed": true})
	require.Zero(t, again.Matched)
	tn.waitRecovery(t, again.ID, "completed", completed)
	anew.wait(t, 4)
}

// The process that drains a recovery is killed half way, and another goes on. Each delivery arrives.
func TestRecovery_Kill(t *testing.T) {
	t.Parallel()
	s := ownGroup(t, groupOptions{}).own(t, "serve")
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, nil)
	ids := tn.exhaust(t, 20, fields{"type": "order.confirmed", "data": 1}, 1)
	r.answers(reply{})
	run := tn.recover(t, e, fields{"rate": 5})
	tn.waitRecovery(t, run.ID, "under way", func(r *recoveryRun) bool { return r.Delivered >= 5 })
	s.kill(t)
	s.restart(t)
	tn = tn.through(s)
	await(t, 3*patience, "the recovery to complete", func() error {
		var r recoveryRun
		tn.call(t, "GET", tn.path+"/recoveries/"+run.ID, nil).is(t, 200, &r)
		if r.Status != "completed" {
			return fmt.Errorf("it is %+v", r)
		}
		return nil
	})
	for _, id := range ids {
		require.Equal(t, "delivered", tn.delivery(t, id).Status)
	}
}
