package engine

import (
	"context"

	"go.temporal.io/sdk/client"

	"waybill/webhook"
	"waybill/workflows"
)

// WakeQueue tells the queue of an endpoint that something new may be due, or that the endpoint was enabled, disabled or deleted. It
// starts the queue's workflow where none is running.
func (c *Client) WakeQueue(ctx context.Context, tenant string, endpoint webhook.EndpointID) error {
	id := workflows.EndpointQueueID(tenant, endpoint)
	_, err := c.temporal.SignalWithStartWorkflow(ctx, id, workflows.SignalWake, nil, client.StartWorkflowOptions{
		ID: id, TaskQueue: c.opts.TaskQueue, StaticSummary: "what waits for " + endpoint.String(),
	}, workflows.EndpointQueueType, &workflows.EndpointQueueInput{Tenant: tenant, EndpointID: endpoint})
	return startError("wake a queue", err)
}
