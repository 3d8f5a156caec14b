package workflows

import (
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// attemptTimeout covers one attempt: the longest request timeout, and the time to read and record.
const attemptTimeout = webhook.MaxTimeout + 30*time.Second

// fastLane is for attempts inside the workflow task. It is tried once: after an internal fault the attempt moves to the
// isolated lane, where the server retries without adding to the history.
func fastLane(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: attemptTimeout,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             summary,
	})
}

// isolatedLane is for attempts on the queue of slow endpoints, which is fair among endpoints. Internal faults are retried
// without end. A receiver's failure is a result and is not retried here.
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

// drainTimeout covers one drain: its time, and that of the attempts in flight at its end.
const drainTimeout = activities.DefaultDrainTime + attemptTimeout

// draining is for the attempts of an endpoint's queue, which share the isolated lane with those of workflows. Its heartbeats tell
// the server soon that a process has died.
func draining(ctx workflow.Context, endpoint webhook.EndpointID, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           IsolatedQueue,
		StartToCloseTimeout: drainTimeout,
		HeartbeatTimeout:    15 * time.Second,
		RetryPolicy:         infrastructureRetries(),
		Priority:            temporal.Priority{FairnessKey: endpoint.String()},
		Summary:             summary,
	})
}

// following is for waiting, on the queue of one process, for an attempt that this process has in flight. It is never
// retried, because the attempt is lost with the process.
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

// housekeeping is for short database work on behalf of a workflow. It is fair among tenants, because whoever cancels a large event has
// thousands of statuses set at once.
func housekeeping(ctx workflow.Context, tenant, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           IsolatedQueue,
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         infrastructureRetries(),
		Priority:            temporal.Priority{FairnessKey: fairnessOf(tenant)},
		Summary:             summary,
	})
}

// maxFairnessKey is the longest that a Temporal server takes.
const maxFairnessKey = 64

// fairnessOf returns the fairness key of a tenant. No tenant's id is too long for it, but that of a forged input may be, and the server
// would refuse the workflow's tasks without end.
func fairnessOf(tenant string) string {
	return strings.ToValidUTF8(tenant[:min(len(tenant), maxFairnessKey)], "")
}

func infrastructureRetries() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second}
}
