package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
	"waybill/workflows"
)

// Client starts, signals, updates and queries the workflows. Its errors are webhook.Error. CodeNotFound: no such workflow
// is known; for a signal or an update: none is running. CodeInvalid: Temporal refuses the content of a start or a signal.
// CodeUnavailable: Temporal does not answer.
type Client struct {
	temporal client.Client
	opts     Options
	log      *slog.Logger
	wide     wideWorkers
}

// Options are the settings of a Client.
type Options struct {
	Namespace string
	// TaskQueue is where workflows of events are started, and WideQueue where those of wide events are; "": workflows.TaskQueue and
	// workflows.WideQueue.
	TaskQueue, WideQueue string
	// WorksWide: this process works on WideQueue, so that nobody need look whether any does. Just after its start none may have yet.
	WorksWide bool
	// Endpoints is where DisableEndpoint, DisableFailing, EnableEndpoint and DeleteEndpoint write.
	Endpoints Endpoints
	// Failpoint is called at "after-disable", when the database has the change and the workflows have not, for tests that
	// kill the process there; nil: nothing is called.
	Failpoint func(name string)
	Logger    *slog.Logger
}

func (o *Options) setDefaults() {
	o.TaskQueue = cmp.Or(o.TaskQueue, workflows.TaskQueue)
	o.WideQueue = cmp.Or(o.WideQueue, workflows.WideQueue)
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// NewClient returns a Client that uses the given Temporal client.
func NewClient(c client.Client, o Options) *Client {
	o.setDefaults()
	return &Client{temporal: c, opts: o, log: o.Logger}
}

// Start starts EventDelivery for an event, eagerly where a worker shares this client. It is no error when the workflow was
// started before. CodeInvalid: the engine refuses this event and would refuse it again. Any other error is not caused by
// the event.
func (c *Client) Start(ctx context.Context, in *workflows.EventDeliveryInput) error {
	return c.start(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
}

func (c *Client) start(ctx context.Context, in *workflows.EventDeliveryInput, reuse enumspb.WorkflowIdReusePolicy) error {
	o := client.StartWorkflowOptions{
		ID:                    workflows.EventDeliveryID(in.Tenant, in.EventID),
		TaskQueue:             c.opts.TaskQueue,
		WorkflowIDReusePolicy: reuse,
		// This makes the SDK return an error instead of the existing run.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         true,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(in.SearchAttributes()...),
		StaticSummary:                            fmt.Sprintf("%s, endpoints: %d", in.EventType, len(in.Deliveries)),
	}
	if in.IsWide() {
		// Its parts inherit both. Not eager: that would be a worker's place for each, however many the tenant has.
		o.TaskQueue, o.EnableEagerStart, o.Priority = c.wideQueue(ctx), false, temporal.Priority{FairnessKey: in.Tenant}
	}
	_, err := c.temporal.ExecuteWorkflow(carrying(ctx), o, workflows.EventDeliveryType, in)
	if refused(err) {
		// A namespace that lacks something refuses every event. No event is to blame for that.
		if lack := c.CheckNamespace(ctx); lack != nil {
			return translate("start a workflow", lack)
		}
	}
	return startError("start a workflow", err)
}

func startError(what string, err error) error {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil
	}
	if refused(err) {
		return webhook.Errorf(webhook.CodeInvalid, "the delivery engine refuses it").WithCause(fmt.Errorf("%s: %w", what, err))
	}
	return translate(what, err)
}

// refused reports whether the request itself is the cause, so that it would fail again on a healthy engine: the server
// found it invalid or too large, or it could not be encoded.
func refused(err error) bool {
	if err == nil {
		return false
	}
	var invalid *serviceerror.InvalidArgument
	if errors.As(err, &invalid) || errors.Is(err, converter.ErrUnableToEncode) {
		return true
	}
	// For a message beyond a limit of gRPC the SDK has an error type that it does not export. The type keeps gRPC's text.
	return strings.Contains(err.Error(), "message larger than max")
}

// TellCanceled tells the event's workflow that the delivery to an endpoint was canceled in the database. CodeNotFound: no
// such workflow is running.
func (c *Client) TellCanceled(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error {
	return c.signal(ctx, tenant, eventID, workflows.SignalCancelDelivery, workflows.EndpointSignal{EndpointID: endpoint.String(), Reason: reason, Informed: true})
}

// TellHandedOver tells the event's workflow that the endpoint's queue has taken over a delivery that the workflow holds: it asks the
// database and finds that. CodeNotFound: no such workflow is running.
func (c *Client) TellHandedOver(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID) error {
	return c.signal(ctx, tenant, eventID, workflows.SignalEnableEndpoint, workflows.EndpointSignal{EndpointID: endpoint.String(), Informed: true})
}

func (c *Client) signal(ctx context.Context, tenant, eventID, name string, s workflows.EndpointSignal) error {
	err := c.temporal.SignalWorkflow(ctx, workflows.EventDeliveryID(tenant, eventID), "", name, s)
	if refused(err) { // such as the first after the most that a run takes
		return webhook.Errorf(webhook.CodeInvalid, "the delivery engine refuses the signal").WithCause(fmt.Errorf("signal %s: %w", name, err))
	}
	return translate("signal "+name, err)
}

// Ready reports whether Temporal answers.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return translate("check Temporal", err)
}

// translate turns an error of Temporal into a webhook.Error.
func translate(what string, err error) error {
	if err == nil {
		return nil
	}
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return webhook.Errorf(webhook.CodeNotFound, "no such workflow is running").WithCause(fmt.Errorf("%s: %w", what, err))
	}
	return webhook.Errorf(webhook.CodeUnavailable, "the delivery engine does not answer").WithCause(fmt.Errorf("%s: %w", what, err))
}
