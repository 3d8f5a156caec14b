package activities

import (
	"context"
	"fmt"

	"waybill/webhook"
)

// SetStatus makes a delivery held or canceled and returns its state afterwards. The database decides: a delivery of an
// enabled endpoint is not held, and a settled one is not canceled. A delivery that is not stored counts as canceled.
func (a *Activities) SetStatus(ctx context.Context, in SetStatusInput) (*SetStatusResult, error) {
	out, err := a.setStatus(ctx, &in)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return &SetStatusResult{Status: webhook.StatusCanceled, Reason: "the delivery is no longer stored"}, nil
	}
	if err != nil {
		return nil, a.translate(ctx, "set status", err)
	}
	return out, nil
}

func (a *Activities) setStatus(ctx context.Context, in *SetStatusInput) (*SetStatusResult, error) {
	var d *webhook.Delivery
	var err error
	switch in.Status {
	case webhook.StatusHeld:
		d, err = a.store.HoldDelivery(ctx, in.Tenant, in.DeliveryID, a.now())
	case webhook.StatusCanceled:
		d, err = a.cancelOwned(ctx, in)
	default:
		err = webhook.Errorf(webhook.CodeInvalid, "a delivery is not made %q", in.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("make a delivery %s: %w", in.Status, err)
	}
	now := a.resultOf(d)
	out := &SetStatusResult{Status: now.Status, Reason: now.Reason, Queued: now.Queued}
	if d.Attempts > in.Attempts {
		if out.Missing, err = a.recorded(ctx, in.DeliveryID, in.Attempts+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cancelOwned cancels a delivery, unless it is to be left to its endpoint's queue, which has it by now.
func (a *Activities) cancelOwned(ctx context.Context, in *SetStatusInput) (*webhook.Delivery, error) {
	if in.UnlessQueued {
		d, err := a.store.Delivery(ctx, in.Tenant, in.DeliveryID)
		if err != nil || d.Queued {
			return d, err
		}
	} else {
		ctx = byTemporal(ctx) // everything else that cancels leaves what the queue has to the queue
	}
	return a.cancel(ctx, in.Tenant, in.DeliveryID, in.Reason)
}

// recorded returns a delivery's attempts from a number on. It returns none when retention removed the event in the
// meantime.
func (a *Activities) recorded(ctx context.Context, id webhook.DeliveryID, from int) ([]webhook.AttemptSummary, error) {
	made, err := a.store.RecordedAttempts(ctx, id, from)
	if err != nil {
		return nil, fmt.Errorf("read recorded attempts: %w", err)
	}
	return made, nil
}

// cancel cancels a delivery and returns its state: canceled, or settled before.
func (a *Activities) cancel(ctx context.Context, tenant string, id webhook.DeliveryID, reason string) (*webhook.Delivery, error) {
	d, err := a.store.CancelDelivery(ctx, tenant, id, reason, a.now())
	if webhook.ErrorCode(err) == webhook.CodeConflict {
		d, err = a.store.Delivery(ctx, tenant, id)
	}
	if err != nil {
		return nil, fmt.Errorf("cancel a delivery: %w", err)
	}
	return d, nil
}
