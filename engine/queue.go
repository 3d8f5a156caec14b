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
	id := workflows.EndpointQueueID(tenant, endpoint)
	_, err := c.temporal.SignalWithStartWorkflow(ctx, id, workflows.SignalWake, nil, client.StartWorkflowOptions{
		ID: id, TaskQueue: workflows.EndpointsQueue, StaticSummary: "what waits for " + endpoint.String(),
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.AttributeTenant.ValueSet(tenant)),
	}, workflows.EndpointQueueType, &workflows.EndpointQueueInput{Tenant: tenant, EndpointID: endpoint})
	return startError("wake a queue", err)
}

// IsQueueRunning reports whether the queue's workflow exists and is not closed.
func (c *Client) IsQueueRunning(ctx context.Context, tenant string, endpoint webhook.EndpointID) (bool, error) {
	return c.isRunning(ctx, workflows.EndpointQueueID(tenant, endpoint))
}
