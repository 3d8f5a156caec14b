package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// answerQueries registers the queries, before anything blocks.
func (e *event) answerQueries(ctx workflow.Context) error {
	if err := workflow.SetQueryHandlerWithOptions(ctx, QueryHistory, e.history, workflow.QueryHandlerOptions{
		Description: "every delivery with every attempt",
	}); err != nil {
		return fmt.Errorf("register query %s: %w", QueryHistory, err)
	}
	if err := workflow.SetQueryHandlerWithOptions(ctx, QueryStatus, e.lines, workflow.QueryHandlerOptions{
		Description: "one line for each delivery",
	}); err != nil {
		return fmt.Errorf("register query %s: %w", QueryStatus, err)
	}
	return nil
}

func (e *event) history() (*HistoryAnswer, error) {
	out := &HistoryAnswer{History: webhook.History{EventID: e.in.EventID}}
	attempts := e.boundAttempts()
	for i, d := range e.deliveries {
		h := d.history()
		h.Attempts = slices.Clone(attempts[i])
		out.Deliveries = append(out.Deliveries, h)
	}
	return out, nil
}

func (d *delivery) history() webhook.DeliveryHistory {
	h := webhook.DeliveryHistory{
		ID: d.state.ID, EndpointID: d.state.EndpointID, Status: d.state.Status, Reason: d.state.Reason,
	}
	if d.state.Status == webhook.StatusRetrying && !d.state.Queued {
		next := d.state.NextAttemptAt
		h.NextAttemptAt = &next
	}
	return h
}

func (e *event) lines() ([]string, error) {
	lines := make([]string, len(e.deliveries))
	for i, d := range e.deliveries {
		lines[i] = d.line()
	}
	return lines, nil
}

// line returns a line such as "ep_0197... retrying, attempts: 2, last: 500, next at 2026-05-27T14:32:05Z".
func (d *delivery) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, attempts: %d", d.state.EndpointID, d.state.Status, d.state.made())
	if n := len(d.state.Attempts); n > 0 {
		switch last := d.state.Attempts[n-1]; {
		case last.StatusCode != 0:
			fmt.Fprintf(&b, ", last: %d", last.StatusCode)
		default:
			fmt.Fprintf(&b, ", last: %s", last.ErrorClass)
		}
	}
	switch {
	case d.state.Queued:
		b.WriteString(", in its endpoint's queue")
	case d.state.Status == webhook.StatusRetrying:
		fmt.Fprintf(&b, ", next at %s", d.state.NextAttemptAt.UTC().Format(time.RFC3339))
	}
	if d.state.Reason != "" {
		fmt.Fprintf(&b, " (%s)", cleanReason(d.state.Reason))
	}
	return b.String()
}
