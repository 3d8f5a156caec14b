package engine

import (
	"context"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
	"waybill/workflows"
)

// WakeQueue tells the queue of an endpoint that something new may be due, or that the endpoint was enabled, disabled or deleted. It
// starts the queue's workflow where none is running.
func (c *Client) WakeQueue(ctx context.Context, tenant string, endpoint webhook.EndpointID) error {
	return c.wake(ctx, "wake a queue", client.StartWorkflowOptions{
		ID: workflows.EndpointQueueID(tenant, endpoint), StaticSummary: "what waits for " + endpoint.String(),
		TypedSearchAttributes: ofTenant(tenant),
	}, workflows.EndpointQueueType, &workflows.EndpointQueueInput{Tenant: tenant, EndpointID: endpoint})
}

// ofTenant lets whoever lists the workflows of a tenant find this one, whatever its type.
func ofTenant(tenant string) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(workflows.AttributeTenant.ValueSet(tenant))
}

// wake wakes a workflow that there is one of for an endpoint, or starts it.
func (c *Client) wake(ctx context.Context, what string, o client.StartWorkflowOptions, workflow string, in any) error {
	o.TaskQueue = workflows.EndpointsQueue
	_, err := c.temporal.SignalWithStartWorkflow(ctx, o.ID, workflows.SignalWake, nil, o, workflow, in)
	return startError(what, err)
}

// IsQueueRunning reports whether the queue's workflow exists and is not closed.
func (c *Client) IsQueueRunning(ctx context.Context, tenant string, endpoint webhook.EndpointID) (bool, error) {
	return c.isRunning(ctx, workflows.EndpointQueueID(tenant, endpoint))
}
