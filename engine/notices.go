package engine

import (
	"context"

	"go.temporal.io/sdk/client"

	"waybill/webhook"
	"waybill/workflows"
)

// WakeNotices tells EndpointNotices that something is to be told of an endpoint. It starts the workflow where none is running.
func (c *Client) WakeNotices(ctx context.Context, tenant string, endpoint webhook.EndpointID) error {
	id := workflows.EndpointNoticesID(tenant, endpoint)
	_, err := c.temporal.SignalWithStartWorkflow(ctx, id, workflows.SignalWake, nil, client.StartWorkflowOptions{
		ID: id, TaskQueue: workflows.EndpointsQueue, StaticSummary: "mail about " + endpoint.String(),
	}, workflows.EndpointNoticesType, &workflows.EndpointNoticesInput{Tenant: tenant, EndpointID: endpoint})
	return startError("wake the notices of an endpoint", err)
}
