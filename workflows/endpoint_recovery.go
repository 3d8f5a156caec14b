package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/activities"
)

// MaxRecoveryRate is how many held deliveries may be woken a second. A page has as many, and Temporal keeps its ids.
const MaxRecoveryRate = 10_000

// EndpointRecovery wakes the held deliveries of an endpoint that was enabled, PerSecond of them a second, so that a
// receiver that has just come back is not trampled. One runs for an endpoint at a time. It ends early when the endpoint
// is disabled again, and fails with an error of type invalid_input when it was started by a forged hand.
func EndpointRecovery(ctx workflow.Context, in *EndpointRecoveryInput) error {
	if err := in.check(); err != nil {
		return invalidInput(err)
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
