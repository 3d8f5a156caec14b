package main_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// reconciled returns an error unless nothing is stalled and the other metrics of the reconciler say so.
func (tn *tenant) reconciled(t *testing.T, repaired, orphans string) error {
	t.Helper()
	metrics := string(tn.call(t, "GET", "/metrics", nil).body)
	for name, want := range map[string]string{"stalled": "0", "repaired_total": repaired, "orphan_workflows": orphans} {
		found := regexp.MustCompile(`(?m)^waybill_reconciler_` + name + ` (\S+)$`).FindStringSubmatch(metrics)
		if found == nil || found[1] != want {
			return fmt.Errorf("%s is %v, not %s", name, found, want)
		}
	}
	return nil
}

func (tn *tenant) waitReconciled(t *testing.T, repaired, orphans string) {
	t.Helper()
	await(t, patience, "the reconciler", func() error { return tn.reconciled(t, repaired, orphans) })
}

// An operator ends the workflow of an event that waits for a retry. The reconciler restarts it, and it continues from the
// state in the log: one more request for the delivery that failed, none for the one that was delivered.
func TestReconciler_WorkflowLost(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_RECONCILE_AFTER=2s")
	o := newOperator(t, g)
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"10s", "1h"}}})
	failing, fine := newReceiver(t, fails(1)...), newReceiver(t)
	e, f := tn.endpoint(t, failing, nil), tn.endpoint(t, fine, nil)
	require.NoError(t, tn.reconciled(t, "0", "0"))
	sent := tn.publish(t, confirmed, 2)
	tn.waitDelivery(t, sent.to(t, e), "retrying", 1)
	tn.waitDelivery(t, sent.to(t, f), "delivered", 1)
	o.run(t, "workflow", "terminate", "--workflow-id", tn.id+"/"+sent.ID, "--reason", "by mistake")
	require.Equal(t, 1, tn.delivery(t, sent.to(t, e)).Attempts)

	tn.waitDelivery(t, sent.to(t, e), "delivered", 2)
	tn.waitReconciled(t, "1", "0")
	failing.wait(t, 2)
	fine.wait(t, 1)
	await(t, patience, "the whole history", func() error {
		return tells(tn.history(t, sent.ID), map[string]int{sent.to(t, e): 2, sent.to(t, f): 1})
	})
	o.finds(t, "WaybillTenant = '"+tn.id+"' AND ExecutionStatus = 'Completed'", tn.id+"/"+sent.ID)
	require.Equal(t, "closed", tn.history(t, sent.ID).Source)
}

// Nothing of the workflow is left in Temporal.
func TestReconciler_WorkflowDeleted(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_RECONCILE_AFTER=2s")
	o := newOperator(t, g)
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"8s", "1h"}}})
	r := newReceiver(t, fails(1)...)
	tn.endpoint(t, r, nil)
	d := tn.publish(t, confirmed, 1)
	tn.waitDelivery(t, d.Deliveries[0].ID, "retrying", 1)
	o.run(t, "workflow", "delete", "--workflow-id", tn.id+"/"+d.ID)
	o.finds(t, "WaybillTenant = '"+tn.id+"'", "")

	tn.waitDelivery(t, d.Deliveries[0].ID, "delivered", 2)
	tn.waitReconciled(t, "1", "0")
	r.wait(t, 2)
}

// A part of a large event is lost. The event's own workflow ends because of that, and is started anew with all its parts.
func TestReconciler_PartLost(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_RECONCILE_AFTER=2s")
	o := newOperator(t, g)
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"10s", "1h"}}})
	fine, failing := newReceiver(t), newReceiver(t, fails(1)...)
	for range 200 {
		tn.endpoint(t, fine, nil)
	}
	e := tn.endpoint(t, failing, nil)
	sent := tn.publish(t, confirmed, 201)
	require.Equal(t, e.ID, sent.Deliveries[200].EndpointID, "in a part of its own")
	tn.waitDelivery(t, sent.to(t, e), "retrying", 1)
	o.run(t, "workflow", "terminate", "--workflow-id", tn.id+"/"+sent.ID+"/part/2", "--reason", "by mistake")

	tn.waitDelivery(t, sent.to(t, e), "delivered", 2)
	tn.waitReconciled(t, "1", "0")
	failing.wait(t, 2)
	fine.wait(t, 200)
}

// A workflow whose event is not stored is reported, and left alone.
func TestReconciler_Orphan(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_RECONCILE_AFTER=1s")
	o := newOperator(t, g)
	tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"1h"}}})
	tn.endpoint(t, newReceiver(t, reply{status: 500}), nil)
	sent := tn.publish(t, confirmed, 1)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "retrying", 1)
	o.run(t, "workflow", "start", "--workflow-id", tn.id+"/order-of-nobody", "--type", "EventDelivery", "--task-queue", "nobody")
	tn.waitReconciled(t, "0", "1")
	o.finds(t, "ExecutionStatus = 'Running' AND WorkflowId = '"+tn.id+"/order-of-nobody'", tn.id+"/order-of-nobody")
	o.run(t, "workflow", "terminate", "--workflow-id", tn.id+"/order-of-nobody", "--reason", "nobody's")
	tn.waitReconciled(t, "0", "0")
}
