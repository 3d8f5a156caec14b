package main_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// endpointIs returns an error unless an endpoint has a status.
func (tn *tenant) endpointIs(t *testing.T, id, status string) error {
	t.Helper()
	if e := tn.showEndpoint(t, id); e.Status != status {
		return fmt.Errorf("it is %s (%s)", e.Status, e.Disabled.Reason)
	}
	return nil
}

// switchStory is one way to disable and enable an endpoint. The consequences are the same for all ways.
type switchStory struct {
	tn             *tenant
	r, witness     *receiver
	e              *endpoint
	retrying, held string // deliveries to the endpoint
	event          string // of the retrying delivery
}

// newSwitchStory begins with a delivery that has failed once and is to be tried again in 3 s.
func newSwitchStory(t *testing.T) *switchStory {
	t.Helper()
	s := &switchStory{tn: newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"3s", "1h"}}})}
	s.r, s.witness = newReceiver(t, reply{status: 500}), newReceiver(t)
	s.e = s.tn.endpoint(t, s.r, nil)
	sent := s.tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	s.event, s.retrying = sent.ID, sent.Deliveries[0].ID
	s.tn.waitDelivery(t, s.retrying, "retrying", 1)
	s.tn.endpoint(t, s.witness, nil)
	return s
}

// whileDisabled checks that deliveries in retry and new ones are held, and that nothing arrives, even when a retry was due.
func (s *switchStory) whileDisabled(t *testing.T, reason string) {
	t.Helper()
	due := time.Now().Add(4 * time.Second) // later than any retry
	require.Equal(t, reason, s.tn.showEndpoint(t, s.e.ID).Disabled.Reason)
	sent := s.tn.publish(t, `{"type":"order.canceled","data":2}`, 2)
	s.held = sent.to(t, s.e)
	first := s.tn.waitDelivery(t, s.retrying, "held", 1)
	require.Equal(t, reason, first.Reason)
	s.tn.waitDelivery(t, s.held, "held", 0)
	require.Len(t, s.tn.deliveries(t, "?status=held&endpoint="+s.e.ID), 2)
	s.witness.wait(t, 1)
	awaitClock(t, due)
	s.r.wait(t, 1)
	require.Len(t, s.tn.deliveries(t, "?status=held"), 2)
	s.r.answers(reply{})
}

// onceEnabled checks that everything that was held arrives.
func (s *switchStory) onceEnabled(t *testing.T) {
	t.Helper()
	s.r.wait(t, 3)
	s.tn.waitDelivery(t, s.retrying, "delivered", 2)
	s.tn.waitDelivery(t, s.held, "delivered", 1)
	require.Empty(t, s.tn.deliveries(t, "?status=held"))
	require.Len(t, s.tn.deliveries(t, "?status=delivered&endpoint="+s.e.ID), 2)
	require.Empty(t, s.tn.showEndpoint(t, s.e.ID).Disabled.Reason)
}

func TestEndpoint_DisableEnable(t *testing.T) {
	t.Parallel()
	s := newSwitchStory(t)
	var e endpoint
	path := s.tn.path + "/endpoints/" + s.e.ID
	s.tn.call(t, "POST", path+"/disable", fields{"reason": "the receiver moves house"}).is(t, 200, &e)
	require.Equal(t, "disabled", e.Status)
	s.whileDisabled(t, "the receiver moves house")
	s.tn.call(t, "POST", path+"/enable", nil).is(t, 200, &e)
	require.Equal(t, "enabled", e.Status)
	s.onceEnabled(t)
}
