package store

import (
	"context"
	"time"
)

// ErasedEvent says what the erasure of an event did.
type ErasedEvent struct {
	// Canceled is how many deliveries were not settled.
	Canceled int
}

// Erasure is the erasure of a tenant.
type Erasure struct {
	TenantID string `db:"tenant_id"`
	// Rows is how many were deleted so far.
	Rows       int64      `db:"rows"`
	StartedAt  time.Time  `db:"started_at"`
	FinishedAt *time.Time `db:"finished_at"`
}

// ErasureStep is what one step of a tenant's erasure did.
type ErasureStep struct {
	// Deleted is how many rows the step deleted.
	Deleted int64
	// Done says that nothing is left, and Wait how long something may still come: an attempt or a request that is under way.
	Done bool
	Wait time.Duration
}

// Erasures erases events and tenants.
type Erasures interface {
	// EraseEvent erases what an event says (body, attributes, metadata) and what was sent and answered, and cancels its unsettled
	// deliveries. Its ids, type, times and results stay. It may be repeated. CodeNotFound: there is no such event.
	EraseEvent(ctx context.Context, tenant, eventID string, at time.Time) (*ErasedEvent, error)
	// FinishErasedEvents erases what attempts recorded that were under way, for events that were erased less than after ago, and
	// forgets the others, up to limit. more: call it again.
	FinishErasedEvents(ctx context.Context, after time.Duration, limit int) (more bool, err error)

	// BeginErasure makes a tenant unknown, deletes its keys and its endpoints, and remembers that the rest is to go. CodeNotFound: there
	// is no such tenant. One that is being erased is no error.
	BeginErasure(ctx context.Context, tenant string, at time.Time) (*Erasure, error)
	// EraseTenantStep deletes up to limit rows of a tenant that is being erased. CodeNotFound: it is not.
	EraseTenantStep(ctx context.Context, tenant string, limit int) (ErasureStep, error)
	// TenantErasure returns an erasure that runs or has ended; CodeNotFound: there was none.
	TenantErasure(ctx context.Context, tenant string) (*Erasure, error)
	// OpenErasures lists the tenants whose erasure has not ended.
	OpenErasures(ctx context.Context, limit int) ([]string, error)
}
