package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"waybill/store"
	"waybill/webhook"
)

// byTemporal returns a context whose changes are made by whoever sent the workflow a signal or an update, or canceled it. The workflow
// does not know who that was, only that Temporal let them.
func byTemporal(ctx context.Context) context.Context {
	actor := store.Actor{Name: webhook.ByTemporal}
	if activity.IsActivity(ctx) {
		actor.RequestID = activity.GetInfo(ctx).WorkflowExecution.ID
	}
	return store.WithActor(ctx, actor)
}
