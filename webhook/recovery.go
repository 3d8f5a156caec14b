package webhook

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultRetention is how long events, deliveries and attempts are kept unless the operator says otherwise.
const DefaultRetention = 90 * 24 * time.Hour

// Limits of a recovery.
const (
	// MaxRecovery is how many deliveries one recovery may send.
	MaxRecovery = 100_000
	// MaxRecoveryEvents is how many events a recovery of missed ones may look through.
	MaxRecoveryEvents = 1_000_000
	// MaxRecoveryTypes is how many event types the count of a recovery names, the most frequent ones.
	MaxRecoveryTypes = 1000
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
	// EventTypes are patterns as in Endpoint.EventTypes; nil: all.
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
	// One that failed first and was delivered later counts as delivered if that was before the end.
	Delivered  int64      `json:"delivered" db:"-"`
	Failed     int64      `json:"failed" db:"-"`
	CreatedAt  time.Time  `json:"created_at" db:"created_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty" db:"finished_at"`
}

// Wants reports whether the recovery is about an event type.
func (r *Recovery) Wants(eventType string) bool {
	return len(r.EventTypes) == 0 || slices.ContainsFunc(r.EventTypes, func(p string) bool { return matchType(p, eventType) })
}

// Misses reports whether an event that the endpoint has no delivery of is one that the recovery makes a delivery for. The
// dialect, which may be nil, says which attributes are UUIDs.
func (r *Recovery) Misses(e *Endpoint, d *Dialect, eventType string, attributes map[string]string) bool {
	return r.Missed && r.Wants(eventType) && e.Wants(eventType) && e.admits(attributes, d)
}

// SetDefaults fills in what was left out: all that is kept, for the given time, until now, exhausted and canceled. A time to come counts
// as now.
func (r *Recovery) SetDefaults(now time.Time, kept time.Duration) {
	if r.Since.IsZero() {
		r.Since = now.Add(-kept)
	}
	if r.Until.IsZero() || r.Until.After(now) {
		r.Until = now
	}
	if r.Statuses == nil {
		r.Statuses = []Status{StatusExhausted, StatusCanceled}
	}
}

// Validate checks a recovery after SetDefaults; kept is how long deliveries are sure to be kept. The error is CodeInvalid and lists every
// wrong field.
func (r *Recovery) Validate(now time.Time, kept time.Duration) error {
	var found problems
	if r.EndpointID.IsZero() {
		found.addf("endpoint_id", "is required")
	}
	if r.Since.Before(now.Add(-kept)) {
		found.addf("since", "is more than %s ago, which is as far back as deliveries are sure to be kept", inDays(kept))
	}
	if !r.Since.Before(r.Until) {
		found.addf("until", "is not after since, so that nothing could match")
	}
	r.validateStatuses(&found)
	if r.EventTypes != nil && len(r.EventTypes) == 0 {
		found.addf("event_types", "is empty, so that nothing could match; leave it out for all types")
	}
	if len(r.EventTypes) > MaxEventTypes {
		found.addf("event_types", "names %d types; at most %d fit", len(r.EventTypes), MaxEventTypes)
	}
	for i, pattern := range r.EventTypes {
		if !validTypePattern(pattern) {
			found.addf(indexed("event_types", i), `is "*", an event type, or a prefix such as "order.*", not %q`, pattern)
		}
	}
	if r.Rate < 0 || r.Rate > MaxRecoveryRate {
		found.addf("rate", "is from 1 to %d deliveries a second, not %d", MaxRecoveryRate, r.Rate)
	}
	return found.err("recovery")
}

// inDays is a duration for people, such as "90 days".
func inDays(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return Duration(d).String()
}

func (r *Recovery) validateStatuses(found *problems) {
	if len(r.Statuses) == 0 && !r.Missed {
		found.addf("statuses", "is empty, so that nothing could match; only a recovery of missed events can do without")
	}
	for i, s := range r.Statuses {
		switch {
		case s != StatusExhausted && s != StatusCanceled:
			found.addf(indexed("statuses", i), "is exhausted or canceled, not %q: a delivery with another status arrived, or is under way", s)
		case slices.Contains(r.Statuses[:i], s):
			found.addf(indexed("statuses", i), "is listed twice")
		}
	}
}

// validTypePattern reports whether pattern is "*", an event type, or a prefix such as "order.*".
func validTypePattern(pattern string) bool {
	exact, _ := strings.CutSuffix(pattern, ".*")
	return pattern == "*" || len(exact) <= MaxTypeBytes && typePattern.MatchString(exact)
}
