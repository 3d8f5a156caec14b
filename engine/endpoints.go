package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	batchpb "go.temporal.io/api/batch/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"waybill/webhook"
	"waybill/workflows"
)

// Endpoints is what the engine needs of store.Endpoints, store.Streaks and store.Verifications.
type Endpoints interface {
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error)
	DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error
	DisableFailing(ctx context.Context, tenant string, id webhook.EndpointID, rule *webhook.AutoDisable, at time.Time) (*webhook.Endpoint, bool, error)
	VerifyEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, proof webhook.Proof) (*webhook.Endpoint, bool, error)
}

// DisableEndpoint disables an endpoint, for a person, a signal or a receiver that is gone. The database is the truth, and
// every attempt reads it before it sends. The running workflows are told in the background.
func (c *Client) DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	e, changed, err := c.opts.Endpoints.DisableEndpoint(ctx, tenant, id, change)
	if err != nil {
		return nil, fmt.Errorf("disable an endpoint: %w", err)
	}
	c.opts.Failpoint("after-disable")
	if changed {
		c.endpointDisabled(tenant, id, change.Reason)
	}
	return e, nil
}

// DisableFailing disables an endpoint if its streak still reaches the rule, and then does what DisableEndpoint does. A success or an
// enabling that came before prevents it, which is no error.
func (c *Client) DisableFailing(ctx context.Context, tenant string, id webhook.EndpointID, rule *webhook.AutoDisable, at time.Time) (*webhook.Endpoint, error) {
	e, changed, err := c.opts.Endpoints.DisableFailing(ctx, tenant, id, rule, at)
	if err != nil {
		return nil, fmt.Errorf("disable an endpoint that keeps failing: %w", err)
	}
	if changed {
		c.opts.Failpoint("after-disable")
		c.log.Info("an endpoint that keeps failing is disabled", "tenant", tenant, "endpoint_id", id, "reason", e.DisabledReason)
		c.endpointDisabled(tenant, id, e.DisabledReason)
	}
	return e, nil
}

// EnableEndpoint enables an endpoint, for a person or a signal, and wakes its queue in the background, which sends what is held.
func (c *Client) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	e, changed, err := c.opts.Endpoints.EnableEndpoint(ctx, tenant, id, change)
	if err != nil {
		return nil, fmt.Errorf("enable an endpoint: %w", err)
	}
	if changed {
		c.wakeQueue(tenant, id)
	}
	return e, nil
}

// DeleteEndpoint deletes an endpoint and wakes its queue in the background, which cancels the deliveries that wait for it.
func (c *Client) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error {
	if err := c.opts.Endpoints.DeleteEndpoint(ctx, tenant, id, at, checks...); err != nil {
		return fmt.Errorf("delete an endpoint: %w", err)
	}
	c.wakeQueue(tenant, id)
	return nil
}

// endpointDisabled tells the running workflows of an endpoint in the background: its queue, and the events' by one of Temporal's own
// batch jobs. The signal only makes them show the delivery as held sooner, because each attempt reads the database before it
// sends.
func (c *Client) endpointDisabled(tenant string, id webhook.EndpointID, reason string) {
	c.wakeQueue(tenant, id)
	go c.tell("the workflows of a disabled endpoint learn of it with their next attempt", tenant, id, func(ctx context.Context) error {
		input, err := converter.GetDefaultDataConverter().ToPayloads(workflows.EndpointSignal{EndpointID: id.String(), Reason: reason, Informed: true})
		if err != nil {
			return fmt.Errorf("encode a signal: %w", err)
		}
		_, err = c.temporal.WorkflowService().StartBatchOperation(ctx, &workflowservice.StartBatchOperationRequest{
			Namespace: c.opts.Namespace,
			JobId:     uuid.NewString(),
			Reason:    "endpoint disabled: " + reason,
			VisibilityQuery: fmt.Sprintf("WorkflowType = '%s' AND %s = '%s' AND ExecutionStatus = 'Running'",
				workflows.EventDeliveryType, workflows.AttributeEndpoints.GetName(), id),
			Operation: &workflowservice.StartBatchOperationRequest_SignalOperation{SignalOperation: &batchpb.BatchOperationSignal{
				Signal: workflows.SignalDisableEndpoint, Input: input, Identity: "waybill",
			}},
		})
		return translate("start a batch of signals", err)
	})
}

// tellTimeout bounds how long tell tries in the background, and tellPause is the wait between two tries.
const (
	tellTimeout = 30 * time.Second
	tellPause   = time.Second
)

// wakeQueue wakes the endpoint's queue in the background. When that fails, the upkeep wakes it later: the database keeps the
// request.
func (c *Client) wakeQueue(tenant string, id webhook.EndpointID) {
	go c.tell("an endpoint's queue is left to the upkeep", tenant, id, func(ctx context.Context) error {
		return c.WakeQueue(ctx, tenant, id)
	})
}

// tell repeats a call until it succeeds or tellTimeout is over, because Temporal runs only a few batch jobs of a namespace
// at the same time and refuses further ones.
func (c *Client) tell(otherwise, tenant string, id webhook.EndpointID, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), tellTimeout)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(tellPause):
		case <-ctx.Done():
			c.log.Warn(otherwise, "tenant", tenant, "endpoint_id", id, "error", err)
			return
		}
	}
}
