package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// RecoveryCount is what a recovery would do.
type RecoveryCount struct {
	Matched int64 `json:"matched"`
	// ByType has the webhook.MaxRecoveryTypes most frequent event types.
	ByType map[string]int64 `json:"by_type"`
}

// RecoveryFilter selects recoveries of a tenant, newest first. Zero values select all.
type RecoveryFilter struct {
	EndpointID webhook.EndpointID
	// Within selects those of endpoints that the session may see.
	Within webhook.Confinement
	// Page.After is an id.
	Page Page
}

// Recoveries keeps recoveries: what an endpoint did not get, put into its queue. Tests are left out, and so are deliveries with
// webhook.MaxAttempts attempts, and those whose event is no longer stored. A delivery that a recovery makes for a missed event
// counts, as all do, from the publication of its event.
type Recoveries interface {
	// CountRecovery counts what a recovery would send. CodeInvalid: it looks through more deliveries or events than
	// webhook.MaxRecoveryEvents. CodeNotFound: there is no such endpoint.
	CountRecovery(ctx context.Context, r *webhook.Recovery) (*RecoveryCount, error)
	// CreateRecovery counts and stores a recovery that runs. CodeConflict: the endpoint is disabled, or has one that runs;
	// CodeInvalid: it matches more than webhook.MaxRecovery, and the error says how many; CodeNotFound: there is no such endpoint.
	CreateRecovery(ctx context.Context, r *webhook.Recovery, once *Once) error
	Recovery(ctx context.Context, tenant string, id webhook.RecoveryID) (*webhook.Recovery, error)
	// Recoveries lists a tenant's recoveries, newest first.
	Recoveries(ctx context.Context, tenant string, f RecoveryFilter) ([]webhook.Recovery, error)
	// CancelRecovery ends a recovery. What it put into the queue and nobody attempted is settled again, exhausted or canceled, and does
	// not count as sent; what is being attempted at this moment is left. Where that takes too long for one call, AdvanceRecovery goes
	// on. CodeConflict: it has ended.
	CancelRecovery(ctx context.Context, tenant string, id webhook.RecoveryID, at time.Time) (*webhook.Recovery, error)
	// AdvanceRecovery puts the next page of the endpoint's running recovery into the queue, at most limit deliveries and no more than
	// its rate allows, or completes it once everything that it sent was attempted. It returns how many it put there, and how long
	// until the next page is due: 0 at once (also where it looked through a page without a match, or takes a canceled recovery out of
	// the queue), negative when no recovery is running or it only waits for attempts, or for its endpoint to be enabled. The recovery
	// of a deleted endpoint is canceled. Call it again after attempts, so that it can complete.
	AdvanceRecovery(ctx context.Context, tenant string, endpoint webhook.EndpointID, limit int) (sent int, next time.Duration, err error)
}
