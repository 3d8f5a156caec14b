package webhook

import (
	"slices"
	"time"
)

// Limits of a recovery.
const (
	// MaxRecovery is how many deliveries one recovery may send.
	MaxRecovery = 100_000
	// MaxRecoveryEvents is how many events a recovery of missed ones may look through.
	MaxRecoveryEvents = 1_000_000
	// MaxRecoveryRate is the most deliveries a second.
	MaxRecoveryRate = 10_000
	// MaxAttempts is how many attempts a delivery may have before it cannot be opened again.
	MaxAttempts = 1000
)

// RecoveryStatus is the state of a recovery.
type RecoveryStatus string

// The statuses of a recovery.
const (
	RecoveryRunning   RecoveryStatus = "running"
	RecoveryCompleted RecoveryStatus = "completed" // everything that it sent was attempted at least once
	RecoveryCanceled  RecoveryStatus = "canceled"
)

// Recovery is a run that puts what an endpoint did not get into its queue (design, section 10).
type Recovery struct {
	ID         RecoveryID `json:"id" db:"id"`
	TenantID   string     `json:"-" db:"tenant_id"`
	EndpointID EndpointID `json:"endpoint_id" db:"endpoint_id"`
	// Since and Until bound the time of publication: since <= published < until.
	Since time.Time `json:"since" db:"since"`
	Until time.Time `json:"until" db:"until"`
	// Statuses are those of the deliveries to send again: exhausted, canceled or both.
	Statuses []Status `json:"statuses" db:"-"`
	// EventTypes are patterns as in Endpoint.EventTypes; empty: all.
	EventTypes []string `json:"event_types,omitempty" db:"-"`
	// Missed also makes deliveries for events that the endpoint has none of, as it subscribes now.
	Missed bool `json:"missed" db:"missed"`
	// Rate is the most deliveries a second; 0: the queue's own pace.
	Rate   int            `json:"rate,omitempty" db:"-"`
	Reason string         `json:"reason,omitempty" db:"reason"`
	Status RecoveryStatus `json:"status" db:"status"`
	// Matched is how many it will send, as counted at the start, and Sent how many it put into the queue.
	Matched int64 `json:"matched" db:"matched"`
	Sent    int64 `json:"sent" db:"sent"`
	// Delivered and Failed count those that were attempted: final once the recovery has ended.
	Delivered  int64      `json:"delivered" db:"-"`
	Failed     int64      `json:"failed" db:"-"`
	CreatedAt  time.Time  `json:"created_at" db:"created_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty" db:"finished_at"`
}

// Wants reports whether the recovery is about an event type.
func (r *Recovery) Wants(eventType string) bool {
	return len(r.EventTypes) == 0 || slices.ContainsFunc(r.EventTypes, func(p string) bool { return matchType(p, eventType) })
}
