package activities

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"waybill/store"
	"waybill/webhook"
)

// tellsAtOnce is how many workflows are told at the same time.
const tellsAtOnce = 8

// reasonDeleted is the reason of deliveries that are canceled because their endpoint was deleted.
const reasonDeleted = "the endpoint was deleted"

// tellPage is a page of canceled deliveries whose workflows are being told. It is stored in the activity's heartbeat: what is
// canceled is no longer listed, and a retry of the activity must tell the rest of the page.
type tellPage struct {
	IDs      []webhook.DeliveryID `json:"ids"`
	EventIDs []string             `json:"event_ids"`
}

func newTellPage(deliveries []store.HeldDelivery) *tellPage {
	page := new(tellPage)
	for _, d := range deliveries {
		page.IDs, page.EventIDs = append(page.IDs, d.ID), append(page.EventIDs, d.EventID)
	}
	return page
}

// tellCanceled tells the workflows of a page's deliveries, some at a time. A workflow that has ended need not be told.
func (a *Activities) tellCanceled(ctx context.Context, in *DrainInput, page *tellPage) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(tellsAtOnce)
	for i, eventID := range page.EventIDs {
		group.Go(func() error {
			return safely(func() error { return a.tellOne(ctx, in, eventID, page.IDs[i]) })
		})
	}
	return group.Wait()
}

// tellOne tells one workflow. Only an engine that does not answer fails the page, because a workflow that can never be told
// must not block the others.
func (a *Activities) tellOne(ctx context.Context, in *DrainInput, eventID string, id webhook.DeliveryID) error {
	err := a.engine.TellCanceled(ctx, in.Tenant, eventID, in.EndpointID, reasonDeleted)
	switch webhook.ErrorCode(err) {
	case "":
		return nil
	case webhook.CodeUnavailable:
		return fmt.Errorf("tell a workflow of a delivery: %w", err)
	case webhook.CodeNotFound:
		a.log.Warn("the workflow of a delivery is not running and cannot be told", "tenant", in.Tenant, "event_id", eventID, "delivery_id", id)
	default:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.log.Error("a workflow cannot be told of a delivery", "tenant", in.Tenant, "event_id", eventID, "delivery_id", id, "error", err)
	}
	return nil
}
