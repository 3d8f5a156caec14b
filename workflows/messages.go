package workflows

import (
	"time"

	"waybill/activities"
	"waybill/webhook"
)

// MaxDeliveries is how many deliveries one workflow carries; a larger event is split into child workflows, so that no
// history gets near Temporal's limits (design, section 2).
const MaxDeliveries = 200

// WideDeliveries is how many deliveries an event may have without being wide.
const WideDeliveries = 32

// EventDeliveryInput starts EventDelivery. It carries ids and policies, never bodies, secrets or URLs.
type EventDeliveryInput struct {
	Tenant    string           `json:"tenant"`
	EventID   string           `json:"event_id"`
	EventKey  webhook.EventKey `json:"event_key"`
	EventType string           `json:"event_type"`
	// Policies are the distinct retry policies, resolved; deliveries refer to them by index. They travel with the
	// workflow, so that editing a default touches only new events.
	Policies []webhook.RetryPolicy `json:"policies"`
	// HoldFor is how long a held delivery is kept before it is canceled; 0: without limit.
	HoldFor    webhook.Duration `json:"hold_for,omitempty"`
	Deliveries []DeliveryState  `json:"deliveries"`
	// Canceled says that somebody canceled the event before this part of it began.
	Canceled bool `json:"canceled,omitempty"`
	// ShownStatuses is the WaybillStatus that an earlier run of this workflow upserted, and Shown what one from before change
	// status-list did.
	ShownStatuses []webhook.Status `json:"shown_statuses,omitempty"`
	Shown         webhook.Status   `json:"shown,omitempty"`
}

// DeliveryState is one delivery as the workflow knows it. At the start of an event only the first four fields are set. The
// others are set by continue-as-new, by a start after attempts of express mode, and by a restart of a lost workflow.
type DeliveryState struct {
	ID         webhook.DeliveryID `json:"id"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Lane       activities.Lane    `json:"lane"`
	Policy     int                `json:"policy"`

	Status webhook.Status `json:"status,omitempty"` // "": pending
	Reason string         `json:"reason,omitempty"`
	// Delay separates the workflow's start from the next attempt, after attempts that were made before it.
	Delay time.Duration `json:"delay,omitempty"`
	// FollowOn is the task queue of the process that has an attempt in flight and will tell its result; "": none.
	FollowOn string `json:"follow_on,omitempty"`
	// NextAttemptAt is when the next attempt is due while retrying, and when the hold ends while held.
	NextAttemptAt time.Time `json:"next_attempt_at,omitzero"`
	// ResumeAt is when the retry policy makes its next attempt. It is set while a manual attempt waits for a slot in the
	// isolated lane.
	ResumeAt time.Time                `json:"resume_at,omitzero"`
	Attempts []webhook.AttemptSummary `json:"attempts,omitempty"`
	// ManualBefore is how many attempts that a person asked for are left out of Attempts, because only the latest fit.
	ManualBefore int `json:"manual_before,omitempty"`
	// Host is the endpoint's, for people to read; "" until an attempt fails.
	Host string `json:"host,omitempty"`
	// Queued says that the delivery was handed over to its endpoint's queue. Its status is that of then.
	Queued bool `json:"queued,omitempty"`
}

// EndpointSignal is what every signal and every update carries, as plain JSON, so that temporal and tctl can send it.
type EndpointSignal struct {
	// EndpointID is the endpoint that the command is for; AllEndpoints: every endpoint of the event.
	EndpointID string `json:"endpoint_id"`
	Reason     string `json:"reason,omitempty"`
	// Informed is set by Waybill itself, which changes the database before it tells the workflow. In a person's
	// disable_endpoint or enable_endpoint it is not set. The workflow then changes the database, so that the endpoint is
	// disabled or enabled for every event. In cancel_delivery it says that the delivery was canceled: one that a person has opened
	// again since stays open. In retry_now it says that who asked is written down already.
	Informed bool `json:"informed,omitempty"`
}

// HistoryAnswer is the answer of delivery_history.
type HistoryAnswer struct {
	webhook.History
	// Parts are the workflow ids of the children that carry the deliveries of a large event.
	Parts []string `json:"parts,omitempty"`
}

// EndpointQueueInput starts EndpointQueue.
type EndpointQueueInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// Window is how many attempts were in flight at the end of the run before; 0: the queue begins.
	Window int `json:"window,omitempty"`
}

// EndpointNoticesInput starts EndpointNotices.
type EndpointNoticesInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// Continued and RefusedSince are set by continue-as-new: the run does not gather again, and since when the mail server refuses
	// the mail.
	Continued    bool      `json:"continued,omitempty"`
	RefusedSince time.Time `json:"refused_since,omitzero"`
}

// EndpointNoticesResult says what was told.
type EndpointNoticesResult struct {
	// Mails is how many mails this run sent.
	Mails int `json:"mails"`
	// GivenUp says that one was given up, because the mail server refused it for too long.
	GivenUp bool `json:"given_up,omitempty"`
}

// EndpointQueueResult is what a run of EndpointQueue did.
type EndpointQueueResult struct {
	// Sent counts the attempts of the run, and Delivered those that delivered.
	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
	// End says why the queue ended.
	End activities.QueueEnd `json:"end"`
}

// QueueStatus is the answer of queue_status.
type QueueStatus struct {
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// Draining says that attempts are being made. The numbers are then those of the end of the last drain.
	Draining bool `json:"draining"`
	// Window is how many attempts may be in flight at a time, and Waiting how many deliveries wait, counted up to 100,000. Both are
	// missing during the first drain of a run, which lasts a minute at most: they are not known before it ends.
	Window  int  `json:"window,omitempty"`
	Waiting *int `json:"waiting,omitempty"`
	// Sent counts the attempts of this run, and Delivered those that delivered.
	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
	// NextAt is when something is due, and Why says what the queue waits for; none while it drains.
	NextAt *time.Time `json:"next_at,omitempty"`
	Why    string     `json:"why,omitempty"`
}

// TenantErasureInput starts TenantErasure.
type TenantErasureInput struct {
	Tenant string `json:"tenant"`
	// Deleted is how many rows the runs before deleted.
	Deleted int64 `json:"deleted,omitempty"`
}

// TenantErasureStatus is the answer of erasure_status, and the result of TenantErasure.
type TenantErasureStatus struct {
	Tenant string `json:"tenant"`
	// Deleted is how many rows were deleted so far, from the start of this workflow.
	Deleted int64 `json:"deleted"`
	Done    bool  `json:"done"`
}
