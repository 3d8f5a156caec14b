package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
)

// EndpointRecovery wakes the held deliveries of an endpoint that was enabled, PerSecond of them a second, so that a
// receiver that has just come back is not trampled. One runs for an endpoint at a time. It ends early when the endpoint
// is disabled again.
func EndpointRecovery(ctx workflow.Context, in *EndpointRecoveryInput) error {
	if in == nil { // whoever reaches Temporal can start a workflow
		return temporal.NewNonRetryableApplicationError("there is no input", ErrorTypeInvalidInput, nil)
	}
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
