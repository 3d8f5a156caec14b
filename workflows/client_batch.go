package workflows

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	batchpb "go.temporal.io/api/batch/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"waybill/webhook"
)

// EndpointDisabled tells the running workflows of an endpoint in the background, by one of Temporal's own batch jobs.
// It only makes them show the delivery as held sooner: each of them reads the database before it sends.
func (c *Client) EndpointDisabled(tenant string, id webhook.EndpointID, reason string) {
	go c.tell("the workflows of a disabled endpoint learn of it with their next attempt", tenant, id, func(ctx context.Context) error {
		input, err := converter.GetDefaultDataConverter().ToPayloads(EndpointSignal{EndpointID: id.String(), Reason: reason, Informed: true})
		if err != nil {
			return fmt.Errorf("encode a signal: %w", err)
		}
		_, err = c.temporal.WorkflowService().StartBatchOperation(ctx, &workflowservice.StartBatchOperationRequest{
			Namespace:       c.namespace,
			JobId:           uuid.NewString(),
			Reason:          "endpoint disabled: " + reason,
			VisibilityQuery: fmt.Sprintf("%s = '%s' AND ExecutionStatus = 'Running'", AttributeEndpoints.GetName(), id),
			Operation: &workflowservice.StartBatchOperationRequest_SignalOperation{SignalOperation: &batchpb.BatchOperationSignal{
				Signal: SignalDisableEndpoint, Input: input, Identity: "waybill",
			}},
		})
		return translate("start a batch of signals", err)
	})
}
