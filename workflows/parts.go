package workflows

import (
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// partsAtOnce is how many parts one workflow task starts. The task's answer carries their inputs, and Temporal accepts 4
// MiB. A part has at most 200 deliveries of about 120 bytes each, and as many policies of about 500 bytes.
const partsAtOnce = 8

// runParts delivers a large event by child workflows of at most MaxDeliveries each, passes signals on to them, and
// waits for them all.
func runParts(ctx workflow.Context, in *EventDeliveryInput) (*EventDeliveryResult, error) {
	p := &parts{in: in, ids: partIDs(workflow.GetInfo(ctx).WorkflowExecution.ID, len(in.Deliveries))}
	if err := p.answerQueries(ctx); err != nil {
		return nil, err
	}
	if err := redirectUpdates(ctx, p.partOf); err != nil {
		return nil, err
	}
	if ctx.Err() != nil && changed(ctx, changeCanceledInParts) {
		return nil, p.cancel(ctx)
	}
	if err := p.startAll(ctx); err != nil {
		if ctx.Err() != nil && changed(ctx, changeCanceledInParts) {
			return nil, p.cancel(ctx)
		}
		return nil, err
	}
	p.passOnSignals(ctx)
	sum := &EventDeliveryResult{}
	var failed []error
	for _, f := range p.children {
		var r EventDeliveryResult
		if err := f.Get(ctx, &r); err != nil {
			exhausted, ok := resultOf(err)
			if !ok {
				failed = append(failed, err)
				continue
			}
			r = *exhausted
		}
		sum.Delivered += r.Delivered
		sum.Exhausted += r.Exhausted
		sum.Canceled += r.Canceled
		sum.Held += r.Held
	}
	if len(failed) > 0 {
		return sum, errors.Join(failed...)
	}
	return sum.end(ctx)
}

// startAll starts the parts that were not, some at a time. A signal that arrives in the meantime waits until all parts can receive it.
func (p *parts) startAll(ctx workflow.Context) error {
	wave := len(p.in.Deliveries)
	if changed(ctx, changePartsInWaves) {
		wave = partsAtOnce
	}
	for from := len(p.children) * MaxDeliveries; from < len(p.in.Deliveries); from += MaxDeliveries {
		p.start(ctx, p.in.Deliveries[from:min(from+MaxDeliveries, len(p.in.Deliveries))])
		if len(p.children)%wave != 0 {
			continue
		}
		if err := p.awaitStarted(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitStarted ends the workflow task, whose answer starts the parts. The result of a part says if it could not start.
func (p *parts) awaitStarted(ctx workflow.Context) error {
	for _, child := range p.children {
		_ = child.GetChildWorkflowExecution().Get(ctx, nil)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// cancel cancels the event before all of its parts have started. Those that have are canceled with it. The others are started to cancel
// their deliveries, because the history of this workflow could not take all of them.
func (p *parts) cancel(ctx workflow.Context) error {
	reason := ctx.Err()
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	p.canceled = true
	if err := p.startAll(ctx); err != nil {
		return err
	}
	for i, child := range p.children {
		if child.GetChildWorkflowExecution().Get(ctx, nil) != nil {
			// It is a part of this event's workflow of before, which was lost, and lives still.
			_ = workflow.RequestCancelExternalWorkflow(ctx, p.ids[i], "").Get(ctx, nil)
		}
	}
	// The reconciler would find no workflow of the event for a part that is still at it.
	for _, child := range p.children {
		_ = child.Get(ctx, nil)
	}
	return reason
}

// parts is the state of an EventDelivery that is split.
type parts struct {
	in *EventDeliveryInput
	// ids are the parts' workflow ids, of those too that are not started yet.
	ids      []string
	children []workflow.ChildWorkflowFuture
	// canceled says that somebody has canceled the event.
	canceled bool
}

func partIDs(id string, deliveries int) []string {
	ids := make([]string, (deliveries+MaxDeliveries-1)/MaxDeliveries)
	for i := range ids {
		ids[i] = partID(id, i+1)
	}
	return ids
}

func (p *parts) start(ctx workflow.Context, deliveries []DeliveryState) {
	part := p.in.part(deliveries)
	part.Canceled = p.canceled
	n := len(p.children)
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: p.ids[n],
		// The event may be started again after its workflow was lost, and the part of before may be closed by then.
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		// A person who cancels or terminates the event means its parts too, and the parts must record it in the log.
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		TypedSearchAttributes: temporal.NewSearchAttributes(part.SearchAttributes()...),
		StaticSummary:         fmt.Sprintf("%s, part %d: %d deliveries", p.in.EventType, n+1, len(deliveries)),
	})
	p.children = append(p.children, workflow.ExecuteChildWorkflow(ctx, EventDeliveryType, part))
}

// partOf returns the id of the part that has the delivery to an endpoint.
func (p *parts) partOf(endpointID string) (string, bool) {
	for i, d := range p.in.Deliveries {
		if d.EndpointID.String() == endpointID {
			return p.ids[i/MaxDeliveries], true
		}
	}
	return "", false
}

func (p *parts) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandler(ctx, QueryHistory, func() (*HistoryAnswer, error) {
		answer := &HistoryAnswer{Parts: p.ids}
		answer.EventID = p.in.EventID
		return answer, nil
	})
	if err != nil {
		return fmt.Errorf("register query %s: %w", QueryHistory, err)
	}
	err = workflow.SetQueryHandler(ctx, QueryStatus, func() ([]string, error) {
		lines := make([]string, len(p.ids))
		for i, id := range p.ids {
			lines[i] = "ask workflow " + id
		}
		return lines, nil
	})
	if err != nil {
		return fmt.Errorf("register query %s: %w", QueryStatus, err)
	}
	return nil
}

// passOnSignals hands a signal to the part that has the endpoint, or to all for every endpoint. A part that has ended needs none.
func (p *parts) passOnSignals(ctx workflow.Context) {
	receive(ctx, func(ctx workflow.Context, name string, s EndpointSignal) {
		for _, id := range p.meant(ctx, s.EndpointID) {
			workflow.SignalExternalWorkflow(ctx, id, "", name, s)
		}
	})
}

// meant returns the parts that a signal is about. This workflow lives as long as its parts and never continues as new, and each
// part that is told costs it two events of history.
func (p *parts) meant(ctx workflow.Context, endpointID string) []string {
	if endpointID == AllEndpoints || !changed(ctx, changeSignalsToPart) {
		return p.ids
	}
	if id, ok := p.partOf(endpointID); ok {
		return []string{id}
	}
	workflow.GetLogger(ctx).Warn("a signal names no endpoint of this event", "endpoint_id", endpointID)
	return nil
}
