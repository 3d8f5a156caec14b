package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"waybill/client"
)

// show writes a line for each attempt that has none yet, or for the status where that changed without an attempt.
func (t *tailer) show(ctx context.Context, d *client.Delivery) error {
	before, known := t.lines[d.ID]
	shown := 0
	if known {
		shown = before.attempts
	}
	attempts, err := t.attempts(ctx, d, shown)
	if err != nil {
		return err
	}
	for i := range attempts {
		status := d.Status
		if attempts[i].Number < d.Attempts {
			status = client.DeliveryStatusRetrying // it went on
		}
		if err := t.write(d, status, &attempts[i]); err != nil {
			return err
		}
	}
	rests := d.Status == client.DeliveryStatusHeld || d.Status == client.DeliveryStatusCanceled
	if rests && (!known || before.status != d.Status) && (len(attempts) == 0 || d.Status == client.DeliveryStatusHeld) {
		if err := t.write(d, d.Status, nil); err != nil {
			return err
		}
	}
	t.note(d)
	return nil
}

// attempts returns those after the one with the number shown.
func (t *tailer) attempts(ctx context.Context, d *client.Delivery, shown int) ([]client.LastAttempt, error) {
	switch {
	case d.Attempts <= shown:
		return nil, nil
	case d.Attempts == shown+1 && d.LastAttempt != nil:
		return []client.LastAttempt{*d.LastAttempt}, nil
	}
	var out []client.LastAttempt
	for a, err := range t.waybill.Attempts(ctx, t.tenant, d.ID, nil) {
		if err != nil {
			return nil, err
		}
		if a.Number > shown && a.Number <= d.Attempts {
			out = append(out, client.LastAttempt{Number: a.Number, StartedAt: a.StartedAt, DurationMs: a.DurationMs, StatusCode: a.StatusCode, ErrorClass: a.ErrorClass, Error: a.Error})
		}
	}
	slices.SortFunc(out, func(a, b client.LastAttempt) int { return a.Number - b.Number })
	return out, nil
}

// tailLine is a line as JSON.
type tailLine struct {
	At         time.Time             `json:"at"`
	Status     client.DeliveryStatus `json:"status"`
	DeliveryID string                `json:"delivery_id"`
	EventID    string                `json:"event_id"`
	EventType  string                `json:"event_type"`
	EndpointID string                `json:"endpoint_id"`
	Reason     *string               `json:"reason,omitempty"`
	Attempt    *client.LastAttempt   `json:"attempt,omitempty"`
}

// write writes a line that the filters let through.
func (t *tailer) write(d *client.Delivery, status client.DeliveryStatus, a *client.LastAttempt) error {
	code := "none"
	if a != nil && a.StatusCode != nil {
		code = strconv.Itoa(*a.StatusCode)
	}
	if !t.wants(status, code, a) {
		return nil
	}
	line := tailLine{At: d.UpdatedAt, Status: status, DeliveryID: d.ID, EventID: d.EventID, EventType: d.EventType, EndpointID: d.EndpointID, Attempt: a}
	if a != nil {
		line.At = a.StartedAt
	} else {
		line.Reason = d.Reason
	}
	if t.json {
		text, err := json.Marshal(line)
		if err != nil {
			return &OutputError{err}
		}
		return writef(t.out, "%s\n", escape(string(text)))
	}
	what := ""
	switch {
	case a == nil && d.Reason != nil:
		what = *d.Reason
	case a != nil:
		what = fmt.Sprintf("attempt %d, %d ms", a.Number, a.DurationMs)
		if a.Error != nil {
			what += ": " + *a.Error
		}
	}
	if a == nil {
		code = "-"
	}
	return writef(t.out, "%s  %-9s  %-4s  %s  %s  %s  %s\n", line.At.Local().Format(time.TimeOnly), clean(string(status)), code,
		clean(d.EventType), clean(d.EventID), clean(d.EndpointID), clean(what))
}

// wants reports whether the filters of lines let one through.
func (t *tailer) wants(status client.DeliveryStatus, code string, a *client.LastAttempt) bool {
	if t.statuses != "" && !slices.Contains(fields(t.statuses), string(status)) {
		return false
	}
	if t.class != "" && (a == nil || a.ErrorClass == nil || string(*a.ErrorClass) != t.class) {
		return false
	}
	return t.codes == "" || a != nil && slices.ContainsFunc(fields(t.codes), func(want string) bool {
		return code == want || strings.HasSuffix(want, "xx") && code[0] == want[0]
	})
}
