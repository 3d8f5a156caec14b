package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
)

// DefaultRecoveryRate is how many held deliveries of an enabled endpoint are woken a second.
const DefaultRecoveryRate = 100

// Client starts, signals and asks the workflows. Its errors are webhook.Error: CodeNotFound when no such workflow is
// known or, for a signal, running; CodeUnavailable when Temporal does not answer.
type Client struct {
	temporal     client.Client
	namespace    string
	recoveryRate int
	log          *slog.Logger
}

// NewClient returns a Client for a namespace. recoveryRate 0 means DefaultRecoveryRate.
func NewClient(c client.Client, namespace string, recoveryRate int, log *slog.Logger) *Client {
	if recoveryRate == 0 {
		recoveryRate = DefaultRecoveryRate
	}
	return &Client{temporal: c, namespace: namespace, recoveryRate: recoveryRate, log: log}
}

// Start starts EventDelivery for an event, eagerly where a worker shares this client. That it was started before is
// no error: the event is then on its way.
func (c *Client) Start(ctx context.Context, in *EventDeliveryInput) error {
	return c.start(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
}

func (c *Client) start(ctx context.Context, in *EventDeliveryInput, reuse enumspb.WorkflowIdReusePolicy) error {
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                    EventDeliveryID(in.Tenant, in.EventID),
		TaskQueue:             TaskQueue,
		WorkflowIDReusePolicy: reuse,
		// With this the SDK answers with an error rather than with the run that exists.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         true,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(in.searchAttributes()...),
		StaticSummary:                            fmt.Sprintf("%s, endpoints: %d", in.EventType, len(in.Deliveries)),
	}, EventDeliveryType, in)
	return startError("start a workflow", err)
}

// StartRecovery starts EndpointRecovery for an endpoint. That one runs already is no error.
func (c *Client) StartRecovery(ctx context.Context, tenant string, endpoint webhook.EndpointID) error {
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       EndpointRecoveryID(tenant, endpoint),
		TaskQueue:                                TaskQueue,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "wakes the held deliveries of " + endpoint.String(),
	}, EndpointRecoveryType, &EndpointRecoveryInput{Tenant: tenant, EndpointID: endpoint, PerSecond: c.recoveryRate})
	return startError("start a recovery", err)
}

func startError(what string, err error) error {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil
	}
	return translate(what, err)
}

// RetryNow asks for the next attempt at once.
func (c *Client) RetryNow(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error {
	return c.signal(ctx, tenant, eventID, SignalRetryNow, EndpointSignal{EndpointID: endpoint.String(), Reason: reason})
}

// CancelDelivery tells the workflow that the delivery to an endpoint was canceled.
func (c *Client) CancelDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error {
	return c.signal(ctx, tenant, eventID, SignalCancelDelivery, EndpointSignal{EndpointID: endpoint.String(), Reason: reason})
}

// WakeDelivery tells the workflow that an endpoint is enabled, so that its held delivery goes on.
func (c *Client) WakeDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID) error {
	return c.signal(ctx, tenant, eventID, SignalEnableEndpoint, EndpointSignal{EndpointID: endpoint.String(), Informed: true})
}

func (c *Client) signal(ctx context.Context, tenant, eventID, name string, s EndpointSignal) error {
	return translate("signal "+name, c.temporal.SignalWorkflow(ctx, EventDeliveryID(tenant, eventID), "", name, s))
}

// Ready reports whether Temporal answers.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
	return translate("check Temporal", err)
}

// translate turns an error of Temporal's into one of ours.
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

// tellTimeout bounds what is told to workflows in the background.
const tellTimeout = 10 * time.Second

// EndpointEnabled starts the endpoint's recovery in the background. When that fails, the worker finds the mark that
// the database keeps and starts it.
func (c *Client) EndpointEnabled(tenant string, id webhook.EndpointID) {
	go c.tell("an endpoint's recovery is left to the worker", tenant, id, func(ctx context.Context) error {
		return c.StartRecovery(ctx, tenant, id)
	})
}

func (c *Client) tell(otherwise, tenant string, id webhook.EndpointID, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), tellTimeout)
	defer cancel()
	if err := do(ctx); err != nil {
		c.log.Warn(otherwise, "tenant", tenant, "endpoint", id, "error", err)
	}
}
