package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
)

// TenantErasure deletes what is left of a tenant that nobody can use any more, in pages. The state is in the database, so one that was
// lost is started anew, and it ends once nothing is left. It fails with an error of type invalid_input when Waybill cannot have made its
// input.
func TenantErasure(ctx workflow.Context, in *TenantErasureInput) (*TenantErasureStatus, error) {
	if in == nil || in.Tenant == "" {
		return nil, invalidInput(errors.New("tenant must not be empty"))
	}
	status := &TenantErasureStatus{Tenant: in.Tenant, Deleted: in.Deleted}
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryErasureStatus, func() (*TenantErasureStatus, error) { return status, nil },
		workflow.QueryHandlerOptions{Description: "how many rows of the tenant are deleted so far"})
	if err != nil {
		return nil, err
	}
	for {
		var a *activities.Activities
		var out activities.EraseTenantResult
		showErasure(ctx, status, "rows are being deleted")
		err := workflow.ExecuteActivity(erasing(ctx, "erase the tenant "+in.Tenant), a.EraseTenant, activities.EraseTenantInput{Tenant: in.Tenant}).Get(ctx, &out)
		if err != nil {
			return nil, err
		}
		status.Deleted += out.Deleted
		if out.Done {
			status.Done = true
			showErasure(ctx, status, "nothing is left of it")
			return status, nil
		}
		if out.Wait > 0 {
			showErasure(ctx, status, "waiting for what was under way when the erasure began")
			timer := workflow.NewTimerWithOptions(ctx, out.Wait, workflow.TimerOptions{Summary: "what was under way"})
			if err := timer.Get(ctx, nil); err != nil {
				return nil, err
			}
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return nil, workflow.NewContinueAsNewError(ctx, TenantErasure, &TenantErasureInput{Tenant: in.Tenant, Deleted: status.Deleted})
		}
	}
}

func showErasure(ctx workflow.Context, s *TenantErasureStatus, what string) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s: %s.\n\nrows deleted so far: %d", quoted(s.Tenant), what, s.Deleted))
}

// erasing is for pages of deletions. Their heartbeats tell the server soon that a process has died.
func erasing(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           IsolatedQueue,
		StartToCloseTimeout: activities.EraseTime + 5*time.Minute,
		HeartbeatTimeout:    30 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
		Summary:             summary,
	})
}
