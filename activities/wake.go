package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"waybill/store"
	"waybill/webhook"
)

// Sizes of a page of held deliveries.
const (
	defaultWakeLimit = 100
	wakesAtOnce      = 8
)

// reasonDeleted is the reason of deliveries that are canceled because their endpoint was deleted.
const reasonDeleted = "the endpoint was deleted"

// wakePage is a page of deliveries whose workflows are being told. It is stored in the activity's heartbeat: released or
// canceled deliveries are no longer listed, and a retry of the activity must tell the rest of the page.
type wakePage struct {
	IDs      []webhook.DeliveryID `json:"ids"`
	EventIDs []string             `json:"event_ids"`
}

// Wake wakes one page of the held deliveries of an enabled endpoint, or cancels one page of the deliveries that wait for a
// deleted endpoint. It ends the recovery when the endpoint has changed since the first page, because that change starts
// another recovery.
func (a *Activities) Wake(ctx context.Context, in WakeInput) (*WakeResult, error) {
	out, err := a.wake(ctx, &in)
	return out, a.translate(ctx, "wake", err)
}

func (a *Activities) wake(ctx context.Context, in *WakeInput) (*WakeResult, error) {
	out := &WakeResult{Last: in.After, Version: in.Version}
	limit := in.Limit
	if limit <= 0 {
		limit = defaultWakeLimit
	}
	e, err := a.store.Endpoint(ctx, in.Tenant, in.EndpointID)
	switch {
	case webhook.ErrorCode(err) == webhook.CodeNotFound:
		return a.cancelOfDeleted(ctx, in, limit)
	case err != nil:
		return nil, fmt.Errorf("read an endpoint: %w", err)
	case e.DisabledAt != nil || in.Version != 0 && in.Version != e.Version:
		out.Done = true
		return out, nil
	default:
		out.Version = e.Version
	}
	page, err := a.wakePage(ctx, in, limit)
	if err != nil {
		return nil, err
	}
	if err := a.wakeAll(ctx, in, page); err != nil {
		return nil, err
	}
	if out.Woken = len(page.IDs); out.Woken > 0 {
		out.Last = page.IDs[out.Woken-1]
	}
	if out.Done = out.Woken < limit; out.Done {
		if err := a.store.RecoveryDone(ctx, in.Tenant, in.EndpointID, out.Version); err != nil {
			return nil, fmt.Errorf("end a recovery: %w", err)
		}
	}
	return out, nil
}

// wakePage returns the page that an earlier run of this activity began, or the next one from the database.
func (a *Activities) wakePage(ctx context.Context, in *WakeInput, limit int) (*wakePage, error) {
	if page, begun := pageBegun(ctx); begun {
		return page, nil
	}
	held, err := a.store.HeldDeliveries(ctx, in.Tenant, in.EndpointID, in.After, limit)
	if err != nil {
		return nil, fmt.Errorf("list held deliveries: %w", err)
	}
	return newWakePage(ctx, held), nil
}

// pageBegun returns the page of an earlier run of this activity.
func pageBegun(ctx context.Context) (*wakePage, bool) {
	if !activity.IsActivity(ctx) || !activity.HasHeartbeatDetails(ctx) {
		return nil, false
	}
	page := new(wakePage)
	return page, activity.GetHeartbeatDetails(ctx, page) == nil
}

func newWakePage(ctx context.Context, deliveries []store.HeldDelivery) *wakePage {
	page := new(wakePage)
	for _, d := range deliveries {
		page.IDs, page.EventIDs = append(page.IDs, d.ID), append(page.EventIDs, d.EventID)
	}
	if activity.IsActivity(ctx) && len(deliveries) > 0 {
		activity.RecordHeartbeat(ctx, page)
	}
	return page
}

// wakeAll releases the deliveries before it wakes the workflows, because a workflow that finds its delivery still held
// would keep it held.
func (a *Activities) wakeAll(ctx context.Context, in *WakeInput, page *wakePage) error {
	if len(page.IDs) == 0 {
		return nil
	}
	if err := a.store.ReleaseDeliveries(ctx, in.Tenant, in.EndpointID, page.IDs, a.now()); err != nil {
		return fmt.Errorf("release held deliveries: %w", err)
	}
	return a.tellAll(ctx, page, func(ctx context.Context, eventID string) error {
		return a.engine.WakeDelivery(ctx, in.Tenant, eventID, in.EndpointID)
	})
}

// cancelOfDeleted cancels in the database first, so that the log is right even if a workflow cannot be told. Then it tells
// the workflows, so that none waits for a retry of a canceled delivery.
func (a *Activities) cancelOfDeleted(ctx context.Context, in *WakeInput, limit int) (*WakeResult, error) {
	more := true
	page, begun := pageBegun(ctx)
	if !begun {
		var canceled []store.HeldDelivery
		var err error
		canceled, more, err = a.store.CancelDeliveriesOfDeleted(ctx, in.Tenant, in.EndpointID, reasonDeleted, a.now(), limit)
		if err != nil {
			return nil, fmt.Errorf("cancel what waits for a deleted endpoint: %w", err)
		}
		page = newWakePage(ctx, canceled)
	}
	err := a.tellAll(ctx, page, func(ctx context.Context, eventID string) error {
		return a.engine.TellCanceled(ctx, in.Tenant, eventID, in.EndpointID, reasonDeleted)
	})
	if err != nil {
		return nil, err
	}
	out := &WakeResult{Version: in.Version, Woken: len(page.IDs), Done: !more}
	if out.Done {
		if err := a.store.RecoveryDone(ctx, in.Tenant, in.EndpointID, out.Version); err != nil {
			return nil, fmt.Errorf("end a recovery: %w", err)
		}
	}
	return out, nil
}

// tellAll tells the workflows of a page's deliveries, some at a time. A workflow that has ended need not be told.
func (a *Activities) tellAll(ctx context.Context, page *wakePage, tell func(ctx context.Context, eventID string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(wakesAtOnce)
	for i, eventID := range page.EventIDs {
		group.Go(func() error {
			return safely(func() error { return a.tellOne(ctx, eventID, page.IDs[i], tell) })
		})
	}
	return group.Wait()
}

// tellOne tells one workflow. Only an engine that does not answer fails the page, because a workflow that can never be told
// must not block the others.
func (a *Activities) tellOne(ctx context.Context, eventID string, id webhook.DeliveryID, tell func(ctx context.Context, eventID string) error) error {
	err := tell(ctx, eventID)
	switch webhook.ErrorCode(err) {
	case "":
		return nil
	case webhook.CodeUnavailable:
		return fmt.Errorf("tell a workflow of a delivery: %w", err)
	case webhook.CodeNotFound:
		a.log.Warn("the workflow of a delivery is not running and cannot be told", "event", eventID, "delivery", id)
	default:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.log.Error("a workflow cannot be told of a delivery", "event", eventID, "delivery", id, "error", err)
	}
	return nil
}
