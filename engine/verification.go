package engine

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/client"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// ChallengeEndpoint asks the receiver of an endpoint to prove itself, by a workflow, and waits for its answer. Of several calls at a time
// one asks. CodeNotFound: there is no such endpoint. CodeUnavailable: it could not be asked.
func (c *Client) ChallengeEndpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Proof, error) {
	const what = "challenge an endpoint"
	run, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.EndpointChallengeID(tenant, id), TaskQueue: workflows.EndpointsQueue,
		WorkflowExecutionTimeout: workflows.ChallengeTimeout,
		StaticSummary:            "challenges the endpoint " + id.String(),
		TypedSearchAttributes:    ofTenant(tenant),
	}, workflows.EndpointChallengeType, &workflows.EndpointChallengeInput{Tenant: tenant, EndpointID: id})
	if err != nil {
		return nil, translate(what, err)
	}
	var out activities.ChallengeResult
	if err := run.Get(ctx, &out); err != nil {
		return nil, updateError(what, err)
	}
	return &webhook.Proof{Version: out.Version, Method: out.Method, Refused: out.Refused, AllowedRate: out.AllowedRate}, nil
}

// VerifyEndpoint stores that the receiver of an endpoint has proven itself, and wakes the queue of one that was held only for that.
func (c *Client) VerifyEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, proof webhook.Proof) (*webhook.Endpoint, error) {
	e, enabled, err := c.opts.Endpoints.VerifyEndpoint(ctx, tenant, id, proof)
	if err != nil {
		return nil, fmt.Errorf("verify an endpoint: %w", err)
	}
	if enabled {
		c.wakeQueue(tenant, id)
	}
	return e, nil
}
