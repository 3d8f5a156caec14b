package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/activities"
)

// EndpointRecovery wakes the held deliveries of an endpoint that was enabled, PerSecond of them per second, so that a
// receiver that has just recovered is not overloaded. An endpoint has one at a time. It ends early when the endpoint is
// disabled again.
func EndpointRecovery(ctx workflow.Context, in *EndpointRecoveryInput) error {
	ctx = housekeeping(ctx, "wake held deliveries of "+in.EndpointID.String())
	var a *activities.Activities
	for !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		began := workflow.Now(ctx)
		page := activities.WakeInput{
			Tenant: in.Tenant, EndpointID: in.EndpointID, After: in.After, Limit: in.PerSecond, Version: in.Version,
		}
		var out activities.WakeResult
		if err := workflow.ExecuteActivity(ctx, a.Wake, page).Get(ctx, &out); err != nil {
			return err
		}
		if out.Done {
			return nil
		}
		in.After, in.Version = out.Last, out.Version
		if err := workflow.Sleep(ctx, time.Second-workflow.Now(ctx).Sub(began)); err != nil {
			return err
		}
	}
	return workflow.NewContinueAsNewError(ctx, EndpointRecovery, in)
}
