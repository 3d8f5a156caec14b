package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	batchpb "go.temporal.io/api/batch/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"waybill/workflows"
)

// TellErased tells the event's workflow that its unsettled deliveries were canceled in the database. CodeNotFound: no such workflow is
// running.
func (c *Client) TellErased(ctx context.Context, tenant, eventID string) error {
	return c.signal(ctx, tenant, eventID, workflows.SignalCancelDelivery, workflows.EndpointSignal{
		EndpointID: workflows.AllEndpoints, Reason: "the event was erased", Informed: true,
	})
}

// StartErasure starts TenantErasure, which deletes the rows of a tenant. It is no error when one is running.
func (c *Client) StartErasure(ctx context.Context, tenant string) error {
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.TenantErasureID(tenant), TaskQueue: workflows.EndpointsQueue,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "erases the tenant " + tenant,
		TypedSearchAttributes:                    ofTenant(tenant),
	}, workflows.TenantErasureType, &workflows.TenantErasureInput{Tenant: tenant})
	return startError("start the erasure of a tenant", err)
}

// EndWorkflowsOf terminates the workflows of a tenant that was erased that started before a moment, by one of Temporal's own batch jobs:
// they would find nothing to do, but not before their next attempt.
func (c *Client) EndWorkflowsOf(ctx context.Context, tenant string, before time.Time) error {
	_, err := c.temporal.WorkflowService().StartBatchOperation(ctx, &workflowservice.StartBatchOperationRequest{
		Namespace: c.opts.Namespace,
		JobId:     uuid.NewString(),
		Reason:    "the tenant was erased",
		VisibilityQuery: fmt.Sprintf("WorkflowType IN ('%s', '%s') AND %s = '%s' AND ExecutionStatus = 'Running' AND StartTime < '%s'",
			workflows.EventDeliveryType, workflows.EndpointQueueType, workflows.AttributeTenant.GetName(), tenant, before.UTC().Format(time.RFC3339Nano)),
		Operation: &workflowservice.StartBatchOperationRequest_TerminationOperation{TerminationOperation: &batchpb.BatchOperationTermination{Identity: "waybill"}},
	})
	return translate("start a batch of terminations", err)
}
