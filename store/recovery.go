package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// RecoveryCount is what a recovery would do.
type RecoveryCount struct {
	Matched int64            `json:"matched"`
	ByType  map[string]int64 `json:"by_type"`
}

// Recoveries keeps recoveries: what an endpoint did not get, put into its queue.
type Recoveries interface {
	// CountRecovery counts what a recovery would send. CodeInvalid: it looks through more events than webhook.MaxRecoveryEvents.
	CountRecovery(ctx context.Context, r *webhook.Recovery) (*RecoveryCount, error)
	// CreateRecovery counts and stores a recovery that runs. CodeConflict: the endpoint is disabled, or has one that runs;
	// CodeInvalid: it matches more than webhook.MaxRecovery, and the error says how many; CodeNotFound: there is no such endpoint.
	CreateRecovery(ctx context.Context, r *webhook.Recovery) error
	Recovery(ctx context.Context, tenant string, id webhook.RecoveryID) (*webhook.Recovery, error)
	// Recoveries lists a tenant's recoveries, newest first, of one endpoint unless it is zero. Page.After is an id.
	Recoveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, page Page) ([]webhook.Recovery, error)
	// CancelRecovery ends a recovery. What it put into the queue and nobody attempted is settled again. CodeConflict: it has ended.
	CancelRecovery(ctx context.Context, tenant string, id webhook.RecoveryID, at time.Time) (*webhook.Recovery, error)
	// AdvanceRecovery puts the next page of the endpoint's running recovery into the queue, at most limit deliveries and no more than
	// its rate allows, or completes it once everything that it sent was attempted. It returns how many it put there, and how long
	// until the next page is due: 0 at once, negative when no recovery is running or it only waits for attempts.
	AdvanceRecovery(ctx context.Context, tenant string, endpoint webhook.EndpointID, limit int) (sent int, next time.Duration, err error)
}
