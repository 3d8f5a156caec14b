package engine

import (
	"context"

	"go.temporal.io/sdk/client"

	"waybill/webhook"
	"waybill/workflows"
)

// WakeNotices tells EndpointNotices that something is to be told of an endpoint. It starts the workflow where none is running.
func (c *Client) WakeNotices(ctx context.Context, tenant string, endpoint webhook.EndpointID) error {
	return c.wake(ctx, "wake the notices of an endpoint", client.StartWorkflowOptions{
		ID: workflows.EndpointNoticesID(tenant, endpoint), StaticSummary: "mail about " + endpoint.String(), TypedSearchAttributes: ofTenant(tenant),
	}, workflows.EndpointNoticesType, &workflows.EndpointNoticesInput{Tenant: tenant, EndpointID: endpoint})
}
