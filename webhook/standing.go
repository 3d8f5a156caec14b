package webhook

import "time"

// Standstill says which deliveries stand still: those whose next attempt, or the end of whose hold, has been due for
// longer than After.
type Standstill struct {
	After time.Duration
	// Holds is how long the dialects hold a delivery; one that holds for good is left out.
	Holds map[string]time.Duration
}

// Stalled is a delivery that stands still.
type Stalled struct {
	ID       DeliveryID `db:"id"`
	TenantID string     `db:"tenant_id"`
	EventID  string     `db:"event_id"`
	EventKey EventKey   `db:"event_key"`
	Status   Status     `db:"status"`
	// Since is when the next attempt was due, and when it was held while held.
	Since time.Time `db:"since"`
}

// Standing is an event as the log has it: what its workflow would know.
type Standing struct {
	Dispatch
	// Log is how each delivery stands, with its attempts.
	Log []DeliveryHistory
	// HeldAt is since when the held deliveries are.
	HeldAt map[DeliveryID]time.Time
}

// Settled reports whether no delivery needs a workflow.
func (s *Standing) Settled() bool {
	for i := range s.Log {
		if !s.Log[i].Status.Settled() {
			return false
		}
	}
	return true
}

// EventRef names an event of a tenant by the id that callers know.
type EventRef struct {
	TenantID string `db:"tenant_id"`
	EventID  string `db:"event_id"`
}
