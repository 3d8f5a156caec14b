package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"waybill/client"
)

// note remembers a delivery as it is, without a line.
func (t *tailer) note(d *client.Delivery) {
	line, ok := t.lines[d.ID]
	if !ok {
		if len(t.lines) >= tailMost {
			t.forget()
		}
		line = &tailed{id: d.ID, created: d.CreatedAt}
		t.lines[d.ID] = line
	}
	line.attempts, line.status = d.Attempts, d.Status
	switch {
	case d.Status == client.DeliveryStatusDelivered || d.Status == client.DeliveryStatusExhausted || d.Status == client.DeliveryStatusCanceled:
		line.check = time.Time{}
	case d.NextAttemptAt != nil && time.Until(*d.NextAttemptAt) > 0:
		line.check = d.NextAttemptAt.Add(followEvery / 2)
	default:
		line.check = time.Now().Add(tailIdle)
	}
}

// forget makes room: the settled go first, then the oldest.
func (t *tailer) forget() {
	all := make([]*tailed, 0, len(t.lines))
	for _, line := range t.lines {
		all = append(all, line)
	}
	slices.SortFunc(all, func(a, b *tailed) int {
		if a.check.IsZero() != b.check.IsZero() {
			if a.check.IsZero() {
				return -1
			}
			return 1
		}
		return a.created.Compare(b.created)
	})
	for _, line := range all[:tailMost/10] {
		if !line.check.IsZero() && !t.full {
			t.full = true
			fmt.Fprintf(t.say, "More than %d deliveries are not settled: the oldest are not followed any more. A filter helps.\n", tailMost)
		}
		delete(t.lines, line.id)
	}
}

// checkOthers looks at deliveries that are due and too old for the list, and forgets those that are settled.
func (t *tailer) checkOthers(ctx context.Context, since time.Time) error {
	var due []*tailed
	for id, line := range t.lines {
		switch {
		case !line.created.Before(since):
		case line.check.IsZero():
			delete(t.lines, id)
		case time.Now().After(line.check):
			due = append(due, line)
		}
	}
	slices.SortFunc(due, func(a, b *tailed) int { return a.check.Compare(b.check) })
	for _, line := range due[:min(len(due), tailChecks)] {
		d, err := t.waybill.GetDelivery(ctx, t.tenant, line.id)
		if client.HasCode(err, client.ErrorCodeNotFound) {
			delete(t.lines, line.id)
			continue
		}
		if err != nil {
			return err
		}
		if err := t.show(ctx, d); err != nil {
			return err
		}
	}
	return nil
}
