package main_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// An endpoint of Tradevine fails ten times in a row and is disabled. What comes meanwhile is held. Once the receiver is mended, a
// person enables the endpoint with a test, what was held arrives, and what was exhausted is recovered.
func TestTradevine_DisabledAfterTenFailures(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradevine", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, fields{"event_types": []string{"product.updated"}})
	path := tn.path + "/endpoints/" + e.ID
	var exhausted, held []string
	for range 5 { // of two attempts each
		exhausted = append(exhausted, tn.publish(t, `{"type":"product.updated","data":{"Code":"a"}}`, 1).Deliveries[0].ID)
	}
	await(t, patience, "the endpoint to be disabled", func() error { return tn.endpointIs(t, e.ID, "disabled") })
	off := tn.showEndpoint(t, e.ID).Disabled
	require.Equal(t, "failures", off.By)
	require.Contains(t, off.Reason, "10 attempts in a row failed since 2")
	for _, id := range exhausted {
		tn.waitDelivery(t, id, "exhausted", 2)
	}
	r.wait(t, 10)
	for range 3 {
		d := tn.publish(t, `{"type":"product.updated","data":{"Code":"b"}}`, 1).Deliveries[0].ID
		require.Equal(t, off.Reason, tn.waitDelivery(t, d, "held", 0).Reason)
		held = append(held, d)
	}

	problem := tn.call(t, "POST", path+"/enable", fields{"test": true}).isProblem(t, 409, "conflict")
	require.Contains(t, problem.Detail, "500")
	require.NoError(t, tn.endpointIs(t, e.ID, "disabled"))
	r.answers(reply{})
	tn.call(t, "POST", path+"/enable", fields{"test": true}).is(t, 200, nil)
	for _, id := range held {
		tn.waitDelivery(t, id, "delivered", 1)
	}
	r.wait(t, 10+1+1+3)

	var recovery struct {
		ID                       string
		Status                   string
		Matched, Sent, Delivered int
	}
	tn.call(t, "POST", tn.path+"/recoveries", fields{"endpoint_id": e.ID, "reason": "mended"}).is(t, 201, &recovery)
	require.Equal(t, 5, recovery.Matched)
	await(t, patience, "the recovery to be completed", func() error {
		tn.call(t, "GET", tn.path+"/recoveries/"+recovery.ID, nil).is(t, 200, &recovery)
		if recovery.Status != "completed" {
			return fmt.Errorf("it is %+v", recovery)
		}
		return nil
	})
	require.Equal(t, []int{5, 5}, []int{recovery.Sent, recovery.Delivered})
	for _, id := range exhausted {
		tn.waitDelivery(t, id, "delivered", 3)
		attempts := tn.attempts(t, id)
		require.Equal(t, []int{1, 2, 3}, []int{attempts[0].Number, attempts[1].Number, attempts[2].Number})
	}
	r.wait(t, 10+1+1+3+5)
	require.Len(t, tn.deliveries(t, "?test=true"), 2)
	require.Len(t, tn.deliveries(t, "?status=delivered&test=false"), 8)
}
