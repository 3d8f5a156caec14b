package engine

import (
	"context"
	"errors"

	"go.temporal.io/api/serviceerror"

	"waybill/webhook"
	"waybill/workflows"
)

// History asks the event's workflow, and for a large event each of its parts, for the deliveries and their attempts.
func (c *Client) History(ctx context.Context, tenant, eventID string) (*webhook.History, error) {
	answer, err := c.queryHistory(ctx, workflows.EventDeliveryID(tenant, eventID))
	if err != nil {
		return nil, err
	}
	for _, id := range answer.Parts {
		part, err := c.queryHistory(ctx, id)
		if err != nil {
			return nil, err
		}
		answer.Deliveries = append(answer.Deliveries, part.Deliveries...)
	}
	return &answer.History, nil
}

func (c *Client) queryHistory(ctx context.Context, id string) (*workflows.HistoryAnswer, error) {
	value, err := c.temporal.QueryWorkflow(ctx, id, "", workflows.QueryHistory)
	// The workflow exists and has not run its first step yet, so it knows nothing that the log does not.
	var early *serviceerror.WorkflowNotReady
	if errors.As(err, &early) {
		return nil, webhook.Errorf(webhook.CodeNotFound, "the workflow has not begun").WithCause(err)
	}
	if err != nil {
		return nil, translate("query a workflow", err)
	}
	var answer workflows.HistoryAnswer
	if err := value.Get(&answer); err != nil {
		return nil, translate("read the answer of a query", err)
	}
	return &answer, nil
}
