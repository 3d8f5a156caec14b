package activities

import (
	"context"
	"fmt"

	"waybill/webhook"
)

// Mark makes a delivery held or canceled, unless the database knows better, and tells how it stands afterwards: a
// delivery of an enabled endpoint is not held, a settled one not canceled. One that is not there counts as canceled.
func (a *Activities) Mark(ctx context.Context, in MarkInput) (*MarkResult, error) {
	d, err := a.mark(ctx, &in)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return &MarkResult{Status: webhook.StatusCanceled, Reason: "the delivery is no longer stored"}, nil
	}
	if err != nil {
		return nil, a.translate(ctx, "mark", err)
	}
	now := a.resultOf(d)
	return &MarkResult{Status: now.Status, Reason: now.Reason}, nil
}

func (a *Activities) mark(ctx context.Context, in *MarkInput) (*webhook.Delivery, error) {
	switch in.Status {
	case webhook.StatusHeld:
		d, err := a.store.HoldDelivery(ctx, in.Tenant, in.DeliveryID, a.now())
		if err != nil {
			return nil, fmt.Errorf("hold a delivery: %w", err)
		}
		return d, nil
	case webhook.StatusCanceled:
		return a.cancel(ctx, in.Tenant, in.DeliveryID, in.Reason)
	default:
		return nil, webhook.Errorf(webhook.CodeInvalid, "a delivery is not marked %q", in.Status)
	}
}

// cancel cancels a delivery and returns how it stands: canceled, or settled before.
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
