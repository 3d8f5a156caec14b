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

// Lives reports whether the workflow of an event is there and not closed.
func (c *Client) Lives(ctx context.Context, tenant, eventID string) (bool, error) {
	out, err := c.temporal.DescribeWorkflowExecution(ctx, workflows.EventDeliveryID(tenant, eventID), "")
	err = translate("describe a workflow", err)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return false, nil
	}
	return err == nil && out.GetWorkflowExecutionInfo().GetCloseTime() == nil, err
}

// Restart starts EventDelivery for an event although one was started before, and leaves one that lives as it is.
func (c *Client) Restart(ctx context.Context, in *workflows.EventDeliveryInput) error {
	return c.start(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
}

// LivingEvents calls visit with the events whose workflows were started before a moment and live, a page at a time, until
// it returns an error. An id that cannot be an event's is the EventID of no tenant.
func (c *Client) LivingEvents(ctx context.Context, before time.Time, visit func([]store.EventRef) error) error {
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: c.opts.Namespace, PageSize: listPage,
		Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND StartTime < '%s'",
			workflows.EventDeliveryType, before.UTC().Format(time.RFC3339Nano)),
	}
	for {
		page, err := c.temporal.ListWorkflow(ctx, request)
		if err != nil {
			return translate("list workflows", err)
		}
		var events []store.EventRef
		for _, w := range page.GetExecutions() {
			if event, ok := eventOf(w.GetExecution().GetWorkflowId()); ok {
				events = append(events, event)
			}
		}
		if err := visit(events); err != nil {
			return err
		}
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return nil
		}
	}
}

// eventOf takes a workflow id apart. It reports false for a part of a large event, which ends with its event.
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
