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

// Endpoints is what the engine needs of store.Endpoints.
type Endpoints interface {
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error)
	DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error
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

// EnableEndpoint enables an endpoint, for a person or a signal, and starts its recovery in the background.
func (c *Client) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	e, changed, err := c.opts.Endpoints.EnableEndpoint(ctx, tenant, id, change)
	if err != nil {
		return nil, fmt.Errorf("enable an endpoint: %w", err)
	}
	if changed {
		c.recoverEndpoint(tenant, id)
	}
	return e, nil
}

// DeleteEndpoint deletes an endpoint and starts its recovery in the background, which cancels the deliveries that wait for
// it.
func (c *Client) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error {
	if err := c.opts.Endpoints.DeleteEndpoint(ctx, tenant, id, at, checks...); err != nil {
		return fmt.Errorf("delete an endpoint: %w", err)
	}
	c.recoverEndpoint(tenant, id)
	return nil
}

// endpointDisabled tells the running workflows of an endpoint in the background, by one of Temporal's own batch jobs. The
// signal only makes them show the delivery as held sooner, because each attempt reads the database before it sends.
func (c *Client) endpointDisabled(tenant string, id webhook.EndpointID, reason string) {
	go c.tell("the workflows of a disabled endpoint learn of it with their next attempt", tenant, id, func(ctx context.Context) error {
		input, err := converter.GetDefaultDataConverter().ToPayloads(workflows.EndpointSignal{EndpointID: id.String(), Reason: reason, Informed: true})
		if err != nil {
			return fmt.Errorf("encode a signal: %w", err)
		}
		_, err = c.temporal.WorkflowService().StartBatchOperation(ctx, &workflowservice.StartBatchOperationRequest{
			Namespace:       c.opts.Namespace,
			JobId:           uuid.NewString(),
			Reason:          "endpoint disabled: " + reason,
			VisibilityQuery: fmt.Sprintf("%s = '%s' AND ExecutionStatus = 'Running'", workflows.AttributeEndpoints.GetName(), id),
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

// recoverEndpoint starts the endpoint's recovery in the background. When that fails, the upkeep starts it later: the
// database keeps the request.
func (c *Client) recoverEndpoint(tenant string, id webhook.EndpointID) {
	go c.tell("an endpoint's recovery is left to the worker", tenant, id, func(ctx context.Context) error {
		return c.StartRecovery(ctx, tenant, id)
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
			c.log.Warn(otherwise, "tenant", tenant, "endpoint", id, "error", err)
			return
		}
	}
}
