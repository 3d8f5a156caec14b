package workflows

import (
	"time"

	"waybill/activities"
	"waybill/webhook"
)

// MaxDeliveries is how many deliveries one workflow carries; a larger event is split into child workflows, so that no
// history nears Temporal's limits (design, section 2).
const MaxDeliveries = 200

// EventDeliveryInput starts EventDelivery. It carries ids and policies, never bodies, secrets or URLs.
type EventDeliveryInput struct {
	Tenant    string           `json:"tenant"`
	EventID   string           `json:"event_id"`
	EventKey  webhook.EventKey `json:"event_key"`
	EventType string           `json:"event_type"`
	// Policies are the distinct retry policies, resolved; deliveries refer to them by index. They travel with the
	// workflow, so that editing a default touches only new events.
	Policies []webhook.RetryPolicy `json:"policies"`
	// HoldFor is how long a held delivery is kept before it is canceled; 0: for good.
	HoldFor    webhook.Duration `json:"hold_for,omitempty"`
	Deliveries []DeliveryState  `json:"deliveries"`
	// ShownStatuses is the WaybillStatus that an earlier run of this workflow upserted, and Shown what one from before change
	// status-list did.
	ShownStatuses []webhook.Status `json:"shown_statuses,omitempty"`
	Shown         webhook.Status   `json:"shown,omitempty"`
}

// DeliveryState is one delivery as the workflow knows it. At the start of an event only the first four members are
// set; continue-as-new carries the others over, and so does a start after attempts that were made elsewhere,
// or of an event whose workflow was lost.
type DeliveryState struct {
	ID         webhook.DeliveryID `json:"id"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Lane       activities.Lane    `json:"lane"`
	Policy     int                `json:"policy"`

	Status webhook.Status `json:"status,omitempty"` // "": pending
	Reason string         `json:"reason,omitempty"`
	// Delay separates the workflow's start from the next attempt, after attempts that were made before it.
	Delay time.Duration `json:"delay,omitempty"`
	// FollowOn: an attempt is under way; its result is to be had on this task queue.
	FollowOn string `json:"follow_on,omitempty"`
	// NextAttemptAt is when the next attempt is due while retrying, and when the hold ends while held.
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero"`
	// ResumeAt is when the retry policy goes on while a manual attempt waits for a place in the isolated lane.
	ResumeAt time.Time                `json:"resume_at,omitzero"`
	Attempts []webhook.AttemptSummary `json:"attempts,omitempty"`
	// ManualBefore is how many attempts that a person asked for are left out of Attempts, because only the latest fit.
	ManualBefore int `json:"manual_before,omitempty"`
	// Host is the endpoint's, for people to read; "" until an attempt fails.
	Host string `json:"host,omitempty"`
}

// EndpointSignal is what every signal and every update carries, as plain JSON, so that temporal and tctl can send it.
type EndpointSignal struct {
	// EndpointID says which of the event's endpoints is meant; AllEndpoints means each.
	EndpointID string `json:"endpoint_id"`
	Reason     string `json:"reason,omitempty"`
	// Informed is set by Waybill itself, which has changed the database before it tells the workflow. A person's
	// disable_endpoint or enable_endpoint lacks it, and then the workflow changes the database, so that the endpoint is
	// disabled or enabled for every event.
	Informed bool `json:"informed,omitempty"`
}

// HistoryAnswer is the answer of delivery_history.
type HistoryAnswer struct {
	webhook.History
	// Parts are the workflow ids of the children that carry the deliveries of a large event.
	Parts []string `json:"parts,omitempty"`
}

// EndpointRecoveryInput starts EndpointRecovery.
type EndpointRecoveryInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// PerSecond is how many held deliveries are woken a second.
	PerSecond int `json:"per_second"`
	// After and Version are where to go on after continue-as-new.
	After   webhook.DeliveryID `json:"after"`
	Version int64              `json:"version,omitempty"`
}
