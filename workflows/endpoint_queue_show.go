package workflows

import (
	"fmt"
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"
)

// answerQueries registers the query, before anything blocks.
func (q *queue) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryQueueStatus, q.status, workflow.QueryHandlerOptions{
		Description: "how many deliveries wait, how fast they go, and what comes next",
	})
	if err != nil {
		return fmt.Errorf("register query %s: %w", QueryQueueStatus, err)
	}
	return nil
}

func (q *queue) status() (*QueueStatus, error) {
	s := &QueueStatus{
		EndpointID: q.in.EndpointID, Draining: q.next.IsZero(), Window: q.window, Waiting: q.waiting, Sent: q.sent, Delivered: q.delivered, Why: q.why,
	}
	if !q.next.IsZero() {
		next := q.next
		s.NextAt = &next
	}
	return s, nil
}

// name is the endpoint for people to read, such as "hooks.example.com (ep_0197...)".
func (q *queue) name() string {
	if q.host == "" {
		return q.in.EndpointID.String()
	}
	return fmt.Sprintf("%s (%s)", q.host, q.in.EndpointID)
}

// show updates Current Details.
func (q *queue) show(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, q.details())
}

// details returns Markdown that says what the queue does, what comes next, and what a person can do about it.
func (q *queue) details() string {
	text := q.in.EndpointID.String()
	if q.host != "" {
		text = fmt.Sprintf("%s (%s)", quoted(q.host), q.in.EndpointID)
	}
	waiting := "not counted before the first drain ends"
	if q.waiting != nil {
		waiting = strconv.Itoa(*q.waiting)
	}
	if q.next.IsZero() {
		text += ": **draining**, the numbers are those of the end of the last drain; those of this one are in the heartbeat of its activity"
	} else {
		text += fmt.Sprintf(": **sleeping** until %s: %s; signal %s looks at once", q.next.UTC().Format(time.RFC3339), q.why, SignalWake)
	}
	text += fmt.Sprintf("\n\n- deliveries that wait: %s\n- attempts of this run: %d, of which delivered: %d\n", waiting, q.sent, q.delivered)
	if q.window > 0 {
		text += fmt.Sprintf("- attempts at a time: up to %d\n", q.window)
	}
	return text + fmt.Sprintf("\nTo stop it, disable the endpoint: what waits is then held. To see what waits: GET /v1/tenants/%s/deliveries?endpoint=%s",
		cleanReason(q.in.Tenant), q.in.EndpointID)
}
