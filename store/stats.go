package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// StatsCell counts attempts of one status code and duration within a span of time.
type StatsCell struct {
	// At is the begin of the span.
	At         time.Time `db:"at"`
	StatusCode int       `db:"status_code"`
	// Duration is a webhook.DurationBucket; -1: the cell counts no attempt.
	Duration  int   `db:"duration"`
	Attempts  int64 `db:"attempts"`
	Delivered int64 `db:"delivered"`
	Exhausted int64 `db:"exhausted"`
	Canceled  int64 `db:"canceled"`
}

// EndpointStats is what one endpoint of a list did.
type EndpointStats struct {
	// Spans has a value for each span in which there was an attempt, in the order of time.
	Spans []StatsSpan
	// Durations counts the attempts that got an answer.
	Durations webhook.DurationCounts
}

// StatsSpan counts the attempts of a span of time that begins At.
type StatsSpan struct {
	At                  time.Time
	Attempts, Delivered int64
}

// Unsettled counts deliveries that are not settled now, each up to 10,000.
type Unsettled struct {
	Pending  int `db:"pending"`
	Retrying int `db:"retrying"`
	Held     int `db:"held"`
}

// StatsOf says whose statistics: those of one endpoint, or those of the tenant.
type StatsOf struct {
	TenantID string
	// EndpointID is zero for the tenant.
	EndpointID webhook.EndpointID
	// Within, for the tenant, adds up only the endpoints that the session may see; nil: the whole tenant.
	Within webhook.Confinement
}

// Stats serves the statistics, which the record of each attempt adds to.
type Stats interface {
	// Stats returns the cells since a moment, in the order of time and added up by spans: multiples of five minutes, or of an hour where
	// since is longer than two hours ago. since is where a span begins.
	Stats(ctx context.Context, of StatsOf, since time.Time, span time.Duration) ([]StatsCell, error)
	// EndpointStats returns what each of the tenant's endpoints did, in one query. One that did nothing is left out. since and span are as
	// in Stats.
	EndpointStats(ctx context.Context, tenant string, endpoints []webhook.EndpointID, since time.Time, span time.Duration) (map[webhook.EndpointID]*EndpointStats, error)
	// CountUnsettled counts the deliveries that are not settled. Those of one endpoint, and the pending ones of the tenant, are counted among
	// the newest 10,000; those of several endpoints among the newest of each, so many that it looks at 10,000 in all, and at ten at least.
	CountUnsettled(ctx context.Context, of StatsOf) (Unsettled, error)
	// CompactStats adds up five minutes that are over, over writers, and for tenants over endpoints; makes hours of what is older
	// than two hours; and forgets what is older than keep. It takes at most limit cells for each. more: call it again.
	CompactStats(ctx context.Context, keep time.Duration, limit int) (more bool, err error)
}
