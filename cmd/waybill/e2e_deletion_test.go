package main_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Deliveries that wait for a deleted endpoint are canceled at once, not only when their next attempt is due.
func TestDeleteEndpoint_CancelsWhatWaits(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"12h"}}})
	down := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, down, nil)
	retrying := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	tn.waitDelivery(t, retrying.to(t, e), "retrying", 1)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", `{"reason":"it moves"}`).is(t, 200, nil)
	held := tn.publish(t, `{"type":"order.confirmed","data":2}`, 1)
	tn.waitDelivery(t, held.to(t, e), "held", 0)

	tn.call(t, "DELETE", tn.path+"/endpoints/"+e.ID, nil).is(t, 204, nil)
	for sent, attempts := range map[*receipt]int{retrying: 1, held: 0} {
		d := tn.waitDelivery(t, sent.to(t, e), "canceled", attempts)
		require.Equal(t, "the endpoint was deleted", d.Reason)
		await(t, patience, "the workflow to know", func() error {
			if h := tn.history(t, sent.ID); h.Deliveries[0].Status != "canceled" {
				return fmt.Errorf("it says %s", h.Deliveries[0].Status)
			}
			return nil
		})
	}
	require.Empty(t, tn.deliveries(t, "?status=retrying"))
	down.wait(t, 1)
}
