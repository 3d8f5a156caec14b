package engine

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
	"waybill/workflows"
)

// RetryNow makes the workflow attempt a delivery at once, in addition to the retry policy. It returns when the attempt has
// begun or ended. CodeConflict: the delivery is settled or held. CodeNotFound: no such workflow is running.
// CodeUnavailable: the workflow did not answer in time; it may still obey later.
func (c *Client) RetryNow(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error {
	return c.update(ctx, tenant, eventID, workflows.SignalRetryNow, workflows.EndpointSignal{EndpointID: endpoint.String(), Reason: reason, Informed: true})
}

// CancelDelivery tells the workflow that the delivery to an endpoint was canceled in the database. An attempt in flight ends first. The errors are
// those of RetryNow.
func (c *Client) CancelDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error {
	return c.update(ctx, tenant, eventID, workflows.SignalCancelDelivery, workflows.EndpointSignal{EndpointID: endpoint.String(), Reason: reason, Informed: true})
}

// update asks the event's workflow, or the part of a large event that it names.
func (c *Client) update(ctx context.Context, tenant, eventID, name string, s workflows.EndpointSignal) error {
	err := c.updateWorkflow(ctx, workflows.EventDeliveryID(tenant, eventID), name, s)
	if part, ok := workflows.InPart(err); ok {
		err = c.updateWorkflow(ctx, part, name, s)
	}
	return updateError("update "+name, err)
}

func (c *Client) updateWorkflow(ctx context.Context, id, name string, s workflows.EndpointSignal) error {
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: id, UpdateName: name, Args: []any{s}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return err
	}
	return handle.Get(ctx, nil)
}

// updateError turns the refusal of a workflow into a webhook.Error. The type of the workflow's error is the code.
func updateError(what string, err error) error {
	var answer *temporal.ApplicationError
	if !errors.As(err, &answer) {
		return translate(what, err)
	}
	switch code := webhook.Code(answer.Type()); code {
	case webhook.CodeNotFound, webhook.CodeConflict, webhook.CodeInvalid:
		return webhook.Errorf(code, "%s", answer.Message()).WithCause(fmt.Errorf("%s: %w", what, err))
	default: // for example a workflow that older code runs, which knows no updates
		return translate(what, err)
	}
}
