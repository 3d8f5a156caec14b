package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/oapi-codegen/nullable"
)

// BatchResult is what became of one event of a batch: a receipt with Status 202, or a problem.
type BatchResult struct {
	Status int `json:"status"`
	// ID is the event's.
	ID         string            `json:"id"`
	Deliveries ReceiptDeliveries `json:"deliveries"`
	// Repeated says that the event had been published before.
	Repeated bool `json:"repeated"`
	// RuledOut says why Deliveries is empty, where it is.
	RuledOut *RuledOut       `json:"ruled_out"`
	Problem  *ProblemDetails `json:"problem"`
}

// Err is nil of an event that is stored, else an Error.
func (r *BatchResult) Err() error {
	if r.Problem == nil {
		return nil
	}
	out := newError(r.Problem)
	out.Status = r.Status
	return out
}

// CreateRecovery sends again what an endpoint did not get. It ignores DryRun, which CountRecovery is for.
//
// POST /v1/tenants/{tenant}/recoveries
func (c *Client) CreateRecovery(ctx context.Context, tenant TenantID, body RecoveryCreate, options ...CallOption) (*Recovery, error) {
	body.DryRun = nil
	return recovery[Recovery](c.createRecovery(ctx, tenant, body, options...))
}

// CountRecovery counts what CreateRecovery would send again.
//
// POST /v1/tenants/{tenant}/recoveries with dry_run
func (c *Client) CountRecovery(ctx context.Context, tenant TenantID, body RecoveryCreate, options ...CallOption) (*RecoveryCount, error) {
	body.DryRun = new(true)
	return recovery[RecoveryCount](c.createRecovery(ctx, tenant, body, options...))
}

func recovery[T any](text json.RawMessage, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := parse(text, out); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return out, nil
}

// Set is the value of a field of a patch.
func Set[T any](value T) nullable.Nullable[T] { return nullable.NewNullableWithValue(value) }

// Clear clears a field of a patch. A field that is left out stays as it is.
func Clear[T any]() nullable.Nullable[T] { return nullable.NewNullNullable[T]() }
