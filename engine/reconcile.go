package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// listPage is how many workflows are listed at a time: the most that a Temporal server gives.
const listPage = 1000

// IsRunning reports whether the workflow of an event exists and is not closed. CodeInvalid: the engine refuses the event's
// id.
func (c *Client) IsRunning(ctx context.Context, tenant, eventID string) (bool, error) {
	return c.isRunning(ctx, workflows.EventDeliveryID(tenant, eventID))
}

func (c *Client) isRunning(ctx context.Context, id string) (bool, error) {
	out, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	if refused(err) {
		return false, webhook.Errorf(webhook.CodeInvalid, "the delivery engine refuses the id").WithCause(fmt.Errorf("describe a workflow: %w", err))
	}
	err = translate("describe a workflow", err)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return false, nil
	}
	return err == nil && out.GetWorkflowExecutionInfo().GetCloseTime() == nil, err
}

// Restart starts EventDelivery for an event although one was started before. A running one is left as it is.
func (c *Client) Restart(ctx context.Context, in *workflows.EventDeliveryInput) error {
	return c.start(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
}

// RunningEvents lists the events whose workflows are running and were started before a moment, one page per call: token is
// nil for the first page, then the next of the page before. A nil next ends the list. A workflow id that no event can have
// is returned as an EventID without a tenant. CodeInvalid: the token is not known any more.
func (c *Client) RunningEvents(ctx context.Context, before time.Time, token []byte) (events []store.EventRef, next []byte, err error) {
	page, err := c.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: c.opts.Namespace, PageSize: listPage, NextPageToken: token,
		Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND StartTime < '%s'",
			workflows.EventDeliveryType, before.UTC().Format(time.RFC3339Nano)),
	})
	if refused(err) {
		return nil, nil, webhook.Errorf(webhook.CodeInvalid, "the list of workflows cannot continue").WithCause(fmt.Errorf("list workflows: %w", err))
	}
	if err != nil {
		return nil, nil, translate("list workflows", err)
	}
	for _, w := range page.GetExecutions() {
		if event, ok := eventOf(w.GetExecution().GetWorkflowId()); ok {
			events = append(events, event)
		}
	}
	if next = page.GetNextPageToken(); len(next) == 0 {
		next = nil
	}
	return events, next, nil
}

// eventOf splits a workflow id into tenant and event id. It reports false for a part of a large event, because a part ends
// with its event.
func eventOf(id string) (event store.EventRef, ok bool) {
	if workflows.IsPartID(id) {
		return event, false
	}
	tenant, eventID, ok := strings.Cut(id, "/")
	if !ok {
		return store.EventRef{EventID: id}, true
	}
	return store.EventRef{TenantID: tenant, EventID: eventID}, true
}
