package store

import (
	"context"
	"time"
)

// RetentionRule says how long data is kept.
type RetentionRule struct {
	// Keep is for events, deliveries and attempts, which go with their whole month, and for recoveries that ended, mails that were
	// sent, endpoints that were deleted and API keys that were revoked or expired.
	Keep time.Duration
	// Audit is for audit entries.
	Audit time.Duration
}

// Expired is a part of the data that is older than it is kept.
type Expired struct {
	// What is the partition, such as "events_2026_05", or what the rows are, such as "audit entries".
	What string
	// Rows is how many go: an estimate where a whole partition does. Dry runs count up to 100,000.
	Rows int64
	// Kept is how many stay because their delivery is not settled.
	Kept int64
	// Bytes are those of the files that go; 0: rows are deleted, whose room is used again.
	Bytes int64
}

// Retention removes what is older than it is kept. Nothing that belongs to an unsettled delivery is removed.
type Retention interface {
	// Expired lists what Retain would remove now, and changes nothing.
	Expired(ctx context.Context, rule RetentionRule) ([]Expired, error)
	// Retain removes what has expired, and returns what it removed, also beside an error. What cannot be locked at once is left to the
	// next call, with CodeUnavailable.
	Retain(ctx context.Context, rule RetentionRule) ([]Expired, error)
}
