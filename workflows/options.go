package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// attemptTimeout covers one attempt: the longest request timeout, and the time to read and record.
const attemptTimeout = webhook.MaxTimeout + 30*time.Second

// fastLane is for attempts inside the workflow task. One run only: what fails for a reason of ours goes on in the
// isolated lane, where the server keeps the retries and they cost no history.
func fastLane(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: attemptTimeout,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             summary,
	})
}

// isolatedLane is for attempts on the queue of slow endpoints: fair among endpoints, retried without end when a part
// of ours fails. What the receiver does is a result and never retried here.
func isolatedLane(ctx workflow.Context, endpoint webhook.EndpointID, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           IsolatedQueue,
		StartToCloseTimeout: attemptTimeout,
		HeartbeatTimeout:    15 * time.Second,
		RetryPolicy:         infrastructureRetries(),
		Priority:            temporal.Priority{FairnessKey: endpoint.String()},
		Summary:             summary,
	})
}

// following is for waiting on one process, by its own queue, for an attempt that it is making. Never retried: when the
// process is gone, so is the attempt.
func following(ctx workflow.Context, queue, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              queue,
		ScheduleToStartTimeout: 10 * time.Second,
		StartToCloseTimeout:    attemptTimeout,
		HeartbeatTimeout:       15 * time.Second,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                summary,
	})
}

// housekeeping is for short database work on behalf of a workflow.
func housekeeping(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           IsolatedQueue,
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         infrastructureRetries(),
		Summary:             summary,
	})
}

func infrastructureRetries() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second}
}
