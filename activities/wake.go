package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"waybill/webhook"
)

// Sizes of a page of held deliveries.
const (
	defaultWakeLimit = 100
	wakesAtOnce      = 8
)

// wakePage is a page of held deliveries that is being woken. It is kept with the activity's heartbeat, because once
// released the deliveries are no longer listed as held, and a page that failed half-way must be told to the end.
type wakePage struct {
	IDs      []webhook.DeliveryID `json:"ids"`
	EventIDs []string             `json:"event_ids"`
}

// Wake wakes one page of the held deliveries of an endpoint that was enabled, or of one that was deleted, whose
// deliveries find that out and are canceled. It ends the recovery when the endpoint has changed since the first page:
// a change of its own begins another.
func (a *Activities) Wake(ctx context.Context, in WakeInput) (*WakeResult, error) {
	out, err := a.wake(ctx, &in)
	return out, a.translate(ctx, "wake", err)
}

func (a *Activities) wake(ctx context.Context, in *WakeInput) (*WakeResult, error) {
	out := &WakeResult{Last: in.After, Version: in.Version}
	e, err := a.store.Endpoint(ctx, in.Tenant, in.EndpointID)
	switch {
	case webhook.ErrorCode(err) == webhook.CodeNotFound: // deleted: what it held is canceled by the workflows
	case err != nil:
		return nil, fmt.Errorf("read an endpoint: %w", err)
	case e.DisabledAt != nil || in.Version != 0 && in.Version != e.Version:
		out.Done = true
		return out, nil
	default:
		out.Version = e.Version
	}
	limit := in.Limit
	if limit <= 0 {
		limit = defaultWakeLimit
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

// wakePage returns the page that an earlier run of this activity began, or the next from the database.
func (a *Activities) wakePage(ctx context.Context, in *WakeInput, limit int) (*wakePage, error) {
	var page wakePage
	if activity.IsActivity(ctx) && activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &page); err == nil {
			return &page, nil
		}
	}
	held, err := a.store.HeldDeliveries(ctx, in.Tenant, in.EndpointID, in.After, limit)
	if err != nil {
		return nil, fmt.Errorf("list held deliveries: %w", err)
	}
	for _, h := range held {
		page.IDs, page.EventIDs = append(page.IDs, h.ID), append(page.EventIDs, h.EventID)
	}
	if activity.IsActivity(ctx) && len(held) > 0 {
		activity.RecordHeartbeat(ctx, page)
	}
	return &page, nil
}

// wakeAll releases the deliveries first: a workflow that wakes and finds its delivery still held would leave it.
func (a *Activities) wakeAll(ctx context.Context, in *WakeInput, page *wakePage) error {
	if len(page.IDs) == 0 {
		return nil
	}
	if err := a.store.ReleaseDeliveries(ctx, in.Tenant, in.EndpointID, page.IDs, a.now()); err != nil {
		return fmt.Errorf("release held deliveries: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(wakesAtOnce)
	for i, eventID := range page.EventIDs {
		group.Go(func() error {
			return safely(func() error { return a.wakeOne(ctx, in, eventID, page.IDs[i]) })
		})
	}
	return group.Wait()
}

func (a *Activities) wakeOne(ctx context.Context, in *WakeInput, eventID string, id webhook.DeliveryID) error {
	err := a.engine.WakeDelivery(ctx, in.Tenant, eventID, in.EndpointID)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		a.log.Warn("no workflow runs for a held delivery", "tenant", in.Tenant, "event", eventID, "delivery", id)
		return nil
	}
	if err != nil {
		return fmt.Errorf("wake a delivery: %w", err)
	}
	return nil
}
