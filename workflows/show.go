package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// Bounds of what the Web UI shows of an event.
const (
	maxShownLines      = 50
	maxShownErrorBytes = 200
)

// name is the endpoint for people to read, such as "hooks.example.com (ep_0197...)".
func (d *delivery) name() string {
	if d.state.Host == "" {
		return d.state.EndpointID.String()
	}
	return fmt.Sprintf("%s (%s)", d.state.Host, d.state.EndpointID)
}

func (d *delivery) attemptSummary() string {
	return fmt.Sprintf("attempt %d to %s", d.number(), d.name())
}

// waitSummary says what a timer is for.
func (d *delivery) waitSummary() string {
	if d.state.Status == webhook.StatusHeld {
		return fmt.Sprintf("hold of %s ends", d.name())
	}
	return fmt.Sprintf("wait for attempt %d to %s", d.number(), d.name())
}

// show updates Current Details after deliveries have changed, and WaybillStatus once the workflow has left the happy path.
func (e *event) show(ctx workflow.Context, changed ...*delivery) {
	for _, d := range changed {
		if d.state.Status != webhook.StatusDelivered {
			d.shown = d.detail()
		}
	}
	workflow.SetCurrentDetails(ctx, e.details())
	e.showStatus(ctx)
}

// details returns Markdown with a line for each delivery that is not delivered.
func (e *event) details() string {
	var lines strings.Builder
	delivered, left := 0, 0
	for _, d := range e.deliveries {
		switch {
		case d.state.Status == webhook.StatusDelivered:
			delivered++
		case left < maxShownLines:
			lines.WriteString(d.shown)
			left++
		default:
			left++
		}
	}
	text := lines.String()
	if left > maxShownLines {
		text += fmt.Sprintf("- and %d more: see query %s\n", left-maxShownLines, QueryStatus)
	}
	text += fmt.Sprintf("\n%d of %d delivered", delivered, len(e.deliveries))
	return strings.TrimSpace(text)
}

// detail returns a line such as "- `hooks.example.com` (ep_0197...): retrying, attempt 2 failed: `the receiver answered
// 503`; ...".
func (d *delivery) detail() string {
	text := "- "
	if d.state.Host != "" {
		text += fmt.Sprintf("%s (%s)", quoted(d.state.Host), d.state.EndpointID)
	} else {
		text += d.state.EndpointID.String()
	}
	text += fmt.Sprintf(": **%s**", d.state.Status)
	if d.state.Reason != "" {
		text += fmt.Sprintf(", %s", quoted(d.state.Reason))
	}
	if n := len(d.state.Attempts); n > 0 && d.state.Attempts[n-1].Error != "" {
		text += fmt.Sprintf(", attempt %d failed: %s", d.state.Attempts[n-1].Number, quoted(d.state.Attempts[n-1].Error))
	}
	if next := d.outlook(); next != "" {
		text += fmt.Sprintf("; %s", next)
	}
	return text + "\n"
}

// outlook says what comes next, and what a person can do about it.
func (d *delivery) outlook() string {
	if d.state.Queued {
		return d.queuedText()
	}
	at := d.state.NextAttemptAt.UTC().Format(time.RFC3339)
	switch d.state.Status {
	case webhook.StatusRetrying:
		return fmt.Sprintf("next attempt at %s; update %s makes one at once, %s gives up", at, SignalRetryNow, SignalCancelDelivery)
	case webhook.StatusHeld:
		if d.state.NextAttemptAt.IsZero() {
			return fmt.Sprintf("mend the receiver, then update %s", SignalEnableEndpoint)
		}
		return fmt.Sprintf("canceled at %s unless the endpoint is enabled: mend the receiver, then update %s", at, SignalEnableEndpoint)
	case webhook.StatusExhausted:
		return "no attempt follows by itself: mend the receiver, then " + d.retryCall() + " sends it again"
	case webhook.StatusPending:
		if !d.state.NextAttemptAt.IsZero() {
			return "the endpoint is busy, first attempt at " + at
		}
		return "the first attempt is under way"
	}
	return ""
}

// quoted returns text from outside as Markdown code, so that it is not read as markup.
func quoted(text string) string {
	return "`" + strings.ReplaceAll(webhook.Cut(text, maxShownErrorBytes), "`", "'") + "`"
}

// showStatus upserts WaybillStatus when the set of statuses has changed. It never does on the happy path.
func (e *event) showStatus(ctx workflow.Context) {
	now := e.statuses()
	if slices.Equal(now, e.shown) || len(e.shown) == 0 && !slices.ContainsFunc(now, isTrouble) {
		return
	}
	before, worst := worst(e.shown), worst(now)
	shownBefore := worst != before && (before != "" || isTrouble(worst))
	if !shownBefore && !changed(ctx, changeStatusList) {
		return
	}
	values := make([]string, len(now))
	for i, s := range now {
		values[i] = string(s)
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, AttributeStatus.ValueSet(values)); err != nil {
		workflow.GetLogger(ctx).Error("the status could not be shown", "error", err)
		return
	}
	e.shown = now
}

func isTrouble(s webhook.Status) bool {
	return s != webhook.StatusPending && s != webhook.StatusDelivered
}

// statuses lists those that occur, in their usual order.
func (e *event) statuses() []webhook.Status {
	occurs := make([]bool, len(webhook.Statuses))
	for _, d := range e.deliveries {
		occurs[slices.Index(webhook.Statuses, d.state.Status)] = true
	}
	var out []webhook.Status
	for i, s := range webhook.Statuses {
		if occurs[i] {
			out = append(out, s)
		}
	}
	return out
}

// worst is the single status that was shown before change status-list: the most serious one; "" for none.
func worst(of []webhook.Status) webhook.Status {
	for _, s := range []webhook.Status{
		webhook.StatusHeld, webhook.StatusRetrying, webhook.StatusPending, webhook.StatusExhausted, webhook.StatusCanceled, webhook.StatusDelivered,
	} {
		if slices.Contains(of, s) {
			return s
		}
	}
	return ""
}
