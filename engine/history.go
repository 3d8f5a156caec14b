package engine

import (
	"context"
	"errors"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"waybill/webhook"
	"waybill/workflows"
)

// History queries the event's workflow, and for a large event each of its parts, for the deliveries and their attempts.
// Only a running workflow is queried: a closed one that was reset may answer with an old state, and the log is complete.
// webhook.ErrClosed: the workflow is closed. CodeNotFound: no workflow is known, or it does not know all attempts.
// CodeUnavailable: Temporal does not answer.
func (c *Client) History(ctx context.Context, tenant, eventID string) (*webhook.History, error) {
	answer, err := c.queryHistory(ctx, workflows.EventDeliveryID(tenant, eventID))
	if err != nil {
		return nil, err
	}
	for _, id := range answer.Parts {
		part, err := c.queryHistory(ctx, id)
		if err != nil {
			return nil, err // also when a part is closed: the caller then reads the log
		}
		answer.Deliveries = append(answer.Deliveries, part.Deliveries...)
	}
	if slices.ContainsFunc(answer.Deliveries, isCut) {
		return nil, webhook.Errorf(webhook.CodeNotFound, "the workflow does not know all attempts")
	}
	return &answer.History, nil
}

// isCut reports whether the workflow dropped attempts or error texts of a long history; see workflows.BoundAttempts.
func isCut(d webhook.DeliveryHistory) bool {
	for i, a := range d.Attempts {
		if a.Number != i+1 || a.Outcome != webhook.OutcomeDelivered && a.Error == "" {
			return true
		}
	}
	return false
}

func (c *Client) queryHistory(ctx context.Context, id string) (*workflows.HistoryAnswer, error) {
	answered, err := c.temporal.QueryWorkflowWithOptions(ctx, &client.QueryWorkflowWithOptionsRequest{
		WorkflowID: id, QueryType: workflows.QueryHistory, QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN,
	})
	// The workflow exists but has not run its first task yet, so it knows nothing that the log does not.
	var early *serviceerror.WorkflowNotReady
	if errors.As(err, &early) {
		return nil, webhook.Errorf(webhook.CodeNotFound, "the workflow has not begun").WithCause(err)
	}
	if err != nil {
		return nil, translate("query a workflow", err)
	}
	if answered.QueryRejected != nil {
		return nil, webhook.ErrClosed
	}
	var answer workflows.HistoryAnswer
	if err := answered.QueryResult.Get(&answer); err != nil {
		return nil, translate("read the answer of a query", err)
	}
	return &answer, nil
}
