package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// StatsCell counts attempts of one status code and duration within a span of time.
type StatsCell struct {
	// At is the begin of the span: five minutes, or an hour for what is older than two hours.
	At         time.Time `db:"at"`
	StatusCode int       `db:"status_code"`
	// Duration is a webhook.DurationBucket; -1: the cell counts no attempt.
	Duration  int   `db:"duration"`
	Attempts  int64 `db:"attempts"`
	Delivered int64 `db:"delivered"`
	Exhausted int64 `db:"exhausted"`
	Canceled  int64 `db:"canceled"`
}

// Unsettled counts deliveries that are not settled now, each up to 10,000.
type Unsettled struct{ Pending, Retrying, Held int }

// Stats serves the statistics, which the record of each attempt adds to.
type Stats interface {
	// Stats returns the cells since a moment of one endpoint, or of the whole tenant when endpoint is zero, in the order of time.
	Stats(ctx context.Context, tenant string, endpoint webhook.EndpointID, since time.Time) ([]StatsCell, error)
	// CountUnsettled counts the deliveries of an endpoint, or of the tenant, that are not settled.
	CountUnsettled(ctx context.Context, tenant string, endpoint webhook.EndpointID) (Unsettled, error)
	// CompactStats merges what is older than two hours into hours and forgets what is older than keep, limit rows at a time.
	CompactStats(ctx context.Context, keep time.Duration, limit int) (more bool, err error)
}
