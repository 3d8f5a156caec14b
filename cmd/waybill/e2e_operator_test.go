package main_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// operator runs Temporal's own command line against the namespace of a group.
type operator struct {
	path  string
	group *group
}

func newOperator(t *testing.T, g *group) *operator {
	t.Helper()
	path, err := variable("WAYBILL_TEST_TEMPORAL_CLI")
	if err != nil {
		t.Fatal(err)
	}
	return &operator{path, g}
}

func (o *operator) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	args = append(args, "--address", o.group.temporalAddress, "--namespace", o.group.namespace,
		"--disable-config-file", "--disable-config-env", "--color", "never")
	out, err := exec.CommandContext(ctx, o.path, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("temporal %s: %w: %s", strings.Join(args[:2], " "), err, out)
	}
	return string(out), nil
}

func (o *operator) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := o.try(args...)
	require.NoError(t, err)
	return out
}

// finds waits until a list query answers exactly the given workflow, or none when it is "".
func (o *operator) finds(t *testing.T, query, workflow string) {
	t.Helper()
	await(t, patience, "workflows that match "+query, func() error {
		out, err := o.try("workflow", "list", "--query", query, "--output", "jsonl")
		if err != nil {
			return err
		}
		found := strings.Fields(out)
		if workflow == "" && len(found) == 0 || len(found) == 1 && strings.Contains(out, `"workflowId":"`+workflow+`"`) {
			return nil
		}
		return fmt.Errorf("found %d: %s", len(found), out)
	})
}

// byTemporal are the tenant's audit entries of the actor temporal, the first one first: action, target and workflow.
func (tn *tenant) byTemporal(t *testing.T) []string {
	t.Helper()
	var page struct {
		Data []struct {
			Action, Target string
			RequestID      string `json:"request_id"`
		}
	}
	tn.call(t, "GET", tn.path+"/audit?actor=temporal", nil).is(t, 200, &page)
	var entries []string
	for _, e := range slices.Backward(page.Data) {
		entries = append(entries, e.Action+" "+e.Target+" "+e.RequestID)
	}
	return entries
}

// An operator who has nothing but Temporal's command line disables and enables an endpoint for all its events, and sees
// how an event stands.
func TestOperator_DisableEnable(t *testing.T) {
	t.Parallel()
	s := newSwitchStory(t)
	o := newOperator(t, s.tn.server.group)
	workflow := s.tn.id + "/" + s.event
	signal := func(name, input string) {
		o.run(t, "workflow", "signal", "--workflow-id", workflow, "--name", name, "--input", input)
	}
	signal("disable_endpoint", `{"endpoint_id":"`+s.e.ID+`","reason":"ops"}`)
	await(t, patience, "the endpoint to be disabled", func() error { return s.tn.endpointIs(t, s.e.ID, "disabled") })
	s.whileDisabled(t, "ops")

	require.Contains(t, o.run(t, "workflow", "query", "--workflow-id", workflow, "--type", "delivery_status"), s.e.ID+" held, attempts: 1, last: 500")
	told := o.run(t, "workflow", "query", "--workflow-id", workflow, "--type", "delivery_history", "--output", "json")
	for _, part := range []string{s.retrying, s.e.ID, `"held"`, `"status_code"`, `"http_status"`} {
		require.Contains(t, told, part)
	}
	o.finds(t, "WaybillTenant = '"+s.tn.id+"' AND WaybillStatus = 'held' AND WaybillEventType = 'order.confirmed' AND ExecutionStatus = 'Completed'", workflow)

	o.enable(t, s.tn, s.e)
	await(t, patience, "the endpoint to be enabled", func() error { return s.tn.endpointIs(t, s.e.ID, "enabled") })
	s.onceEnabled(t)
	require.Equal(t, []string{
		"endpoint.disabled " + s.e.ID + " " + workflow,
		"endpoint.enabled " + s.e.ID + " " + s.tn.id + "/queue/" + s.e.ID,
	}, s.tn.byTemporal(t))
	o.finds(t, "WaybillTenant = '"+s.tn.id+"' AND ExecutionStatus = 'Running'", "")
}

// enable enables an endpoint by a signal to its queue, which this starts: what is held leaves no other workflow.
func (o *operator) enable(t *testing.T, tn *tenant, e *endpoint) {
	t.Helper()
	o.run(t, "workflow", "signal-with-start", "--type", "EndpointQueue", "--task-queue", "waybill-endpoints", "--workflow-id", tn.id+"/queue/"+e.ID,
		"--input", `{"tenant":"`+tn.id+`","endpoint_id":"`+e.ID+`"}`, "--signal-name", "enable_endpoint", "--signal-input", `{"endpoint_id":"`+e.ID+`"}`)
}

// Workflows are found by endpoint, tenant, event type and status, and obey retry_now and cancel_delivery.
func TestOperator_FindRetryCancel(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1h", "1h"}}})
	o := newOperator(t, tn.server.group)
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, nil)
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	workflow, d := tn.id+"/"+sent.ID, sent.Deliveries[0].ID
	tn.waitDelivery(t, d, "retrying", 1)

	o.finds(t, "WaybillEndpoints = '"+e.ID+"'", workflow)
	o.finds(t, "WaybillEndpoints = '"+e.ID+"' AND WaybillStatus = 'retrying' AND ExecutionStatus = 'Running'", workflow)
	o.finds(t, "WaybillEndpoints = '"+e.ID+"' AND WaybillStatus = 'held'", "")

	o.run(t, "workflow", "signal", "--workflow-id", workflow, "--name", "retry_now", "--input", `{"endpoint_id":"`+e.ID+`"}`)
	r.wait(t, 2)
	retried := tn.waitDelivery(t, d, "retrying", 2)
	require.WithinDuration(t, time.Now().Add(time.Hour), *retried.NextAttemptAt, time.Minute)
	require.Contains(t, o.run(t, "workflow", "update", "execute", "--workflow-id", workflow, "--name", "retry_now", "--input", `{"endpoint_id":"`+e.ID+`"}`),
		"map[attempts:3 endpoint_id:"+e.ID)
	r.wait(t, 3)
	_, err := o.try("workflow", "update", "execute", "--workflow-id", workflow, "--name", "cancel_delivery", "--input", `{"endpoint":"`+e.ID+`"}`)
	require.ErrorContains(t, err, "unknown field")
	o.run(t, "workflow", "signal", "--workflow-id", workflow, "--name", "cancel_delivery", "--input", `{"endpoint_id":"`+e.ID+`","reason":"ops gave up"}`)
	require.Equal(t, "ops gave up", tn.waitDelivery(t, d, "canceled", 3).Reason)
	retry := "delivery.retried " + d + " " + workflow
	require.Equal(t, []string{retry, retry, "delivery.canceled " + d + " " + workflow}, tn.byTemporal(t))
	o.finds(t, "WaybillEndpoints = '"+e.ID+"' AND WaybillStatus = 'canceled' AND ExecutionStatus = 'Completed'", workflow)
}

// A signal that cannot be read changes nothing, and later signals still work.
func TestOperator_StrangeSignals(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1h"}}})
	o := newOperator(t, tn.server.group)
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, nil)
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	workflow, d := tn.id+"/"+sent.ID, sent.Deliveries[0].ID
	tn.waitDelivery(t, d, "retrying", 1)
	signal := func(name string, input ...string) {
		await(t, patience, "the signal "+name, func() error { // Temporal takes only so many at once
			_, err := o.try(append([]string{"workflow", "signal", "--workflow-id", workflow, "--name", name}, input...)...)
			return err
		})
	}
	for _, name := range []string{"cancel_delivery", "disable_endpoint", "enable_endpoint", "retry_now"} {
		signal(name)
		for _, input := range []string{`"a string"`, `{}`, `{"endpoint":"` + e.ID + `"}`, `{"endpoint_id":"` + e.ID + `","x":1}`} {
			signal(name, "--input", input)
		}
	}
	signal("retry_now", "--input", `{"endpoint_id":"`+e.ID+`"}`)
	r.wait(t, 2)
	tn.waitDelivery(t, d, "retrying", 2)
	require.NoError(t, tn.endpointIs(t, e.ID, "enabled"))
}

// An event with an exhausted delivery is red, and is found by each of its statuses. Resetting its workflow, which is what the
// Web UI offers for it, sends nothing again and leaves the history right.
func TestOperator_ExhaustedAndReset(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{"1s", "1s"}}})
	o := newOperator(t, tn.server.group)
	failing, fine := newReceiver(t, reply{status: 500}), newReceiver(t)
	e, f := tn.endpoint(t, failing, nil), tn.endpoint(t, fine, nil)
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 2)
	workflow, d := tn.id+"/"+sent.ID, sent.to(t, e)
	tn.waitDelivery(t, d, "exhausted", 3)
	for _, status := range []string{"exhausted", "delivered"} {
		o.finds(t, "WaybillTenant = '"+tn.id+"' AND WaybillStatus = '"+status+"' AND ExecutionStatus = 'Failed'", workflow)
	}
	before := tn.history(t, sent.ID)
	require.Equal(t, "closed", before.Source)
	require.NoError(t, tells(before, map[string]int{d: 3, sent.to(t, f): 1}))

	o.run(t, "workflow", "reset", "--workflow-id", workflow, "--event-id", "4", "--reason", "a person clicked")
	await(t, patience, "the new run to end", func() error {
		out, err := o.try("workflow", "list", "--query", "WaybillTenant = '"+tn.id+"' AND ExecutionStatus = 'Failed'", "--output", "jsonl")
		if err != nil || len(strings.Fields(out)) != 2 {
			return fmt.Errorf("found %s: %w", out, err)
		}
		return nil
	})
	require.Contains(t, o.run(t, "workflow", "query", "--workflow-id", workflow, "--type", "delivery_status"), e.ID+" exhausted, attempts: 3, last: 500")
	require.Equal(t, before, tn.history(t, sent.ID))
	failing.wait(t, 3)
	fine.wait(t, 1)
}
