package activities

import (
	"time"

	"waybill/webhook"
)

// Lane says how an attempt runs.
type Lane string

// The lanes.
const (
	LaneFast     Lane = "fast"     // a local activity inside the workflow task
	LaneIsolated Lane = "isolated" // an activity on a separate queue, fair among endpoints, for slow endpoints
)

// AttemptInput asks for one attempt of a delivery.
type AttemptInput struct {
	Tenant     string              `json:"tenant"`
	EventKey   webhook.EventKey    `json:"event_key"`
	DeliveryID webhook.DeliveryID  `json:"delivery_id"`
	EndpointID webhook.EndpointID  `json:"endpoint_id"`
	Number     int                 `json:"number"`
	Lane       Lane                `json:"lane"`
	Policy     webhook.RetryPolicy `json:"policy"`
	// Manual: a person asked for the attempt. When it fails, the retry policy continues as if it had not been made.
	Manual bool `json:"manual,omitempty"`
	// Signaled: they asked the workflow itself, so that nobody has written who did.
	Signaled bool `json:"signaled,omitempty"`
	// Wide: the attempt is of an event that has many at once. In the fast lane it takes turns with others; see Options.WideBegins.
	Wide bool `json:"wide,omitempty"`
	// Scheduled is how many of the attempts before this one the retry policy counts; 0: all, that is Number-1.
	Scheduled int `json:"scheduled,omitempty"`
	// Queue is set where the endpoint's queue makes the attempt, in this process, under a lease. Policy and Scheduled are then
	// those of this moment, not of the input.
	Queue *QueuedAttempt `json:"-"`
	// QueueRetries leaves what the attempt does not settle, or has no slot for, to the endpoint's queue, which the caller wakes with
	// WakeQueue: no workflow makes the attempts (design, section 3, express mode).
	QueueRetries bool `json:"-"`
}

// QueuedAttempt is what the queue knows of a delivery that it attempts.
type QueuedAttempt struct {
	// Uncounted is how many of the attempts before this one the retry policy does not count.
	Uncounted int
	// Holder has the lease.
	Holder string
}

// position is the attempt's number as the retry policy counts it.
func (in *AttemptInput) position() int {
	if in.Scheduled == 0 {
		return in.Number
	}
	return in.Scheduled + 1
}

// AttemptResult is the delivery's state after an attempt, or the reason why none was made.
type AttemptResult struct {
	// Spilled: nothing was sent, because the fast lane has no free slot for this endpoint. The attempt must be made in the
	// isolated lane, after Delay.
	Spilled bool `json:"spilled,omitempty"`
	// FollowOn is set when the attempt is in flight and takes long: Follow on this task queue returns its result.
	FollowOn string `json:"follow_on,omitempty"`
	// Status is the delivery's new status.
	Status webhook.Status `json:"status,omitempty"`
	// Queued says that the delivery belongs to its endpoint's queue, which makes its next attempts.
	Queued bool `json:"queued,omitempty"`
	// Reason says why the delivery is held or canceled.
	Reason string `json:"reason,omitempty"`
	// Delay is the time from now to the next attempt while retrying or spilled.
	Delay time.Duration `json:"delay,omitempty"`
	// Attempt is the recorded attempt; nil when nothing was sent.
	Attempt *webhook.AttemptSummary `json:"attempt,omitempty"`
	// Missing are later attempts that the log has already. A restarted workflow does not know them.
	Missing []webhook.AttemptSummary `json:"missing,omitempty"`
	// Host is the endpoint's host, for people to read; "" when the attempt delivered.
	Host string `json:"host,omitempty"`
	// holder has the lease that the attempt was made under, in this process; "": it was not made in a queue.
	holder string
}

// Registered names of activities that differ from the names of their methods, because recorded histories have them.
const (
	NameSetStatus  = "Mark"
	NameSetEnabled = "Switch"
)

// SetStatusInput asks to set a status that no attempt led to: held or canceled.
type SetStatusInput struct {
	Tenant     string             `json:"tenant"`
	DeliveryID webhook.DeliveryID `json:"delivery_id"`
	Status     webhook.Status     `json:"status"`
	Reason     string             `json:"reason"`
	// Attempts is how many attempts the caller knows.
	Attempts int `json:"attempts,omitempty"`
	// UnlessQueued leaves a delivery that belongs to its endpoint's queue to the queue: it was held for too long, which the queue sees
	// to, or the database had it canceled and a person has opened it again since.
	UnlessQueued bool `json:"unless_queued,omitempty"`
}

// SetStatusResult is the delivery's state afterwards.
type SetStatusResult struct {
	Status webhook.Status `json:"status"`
	Reason string         `json:"reason,omitempty"`
	// Queued says that the delivery belongs to its endpoint's queue.
	Queued bool `json:"queued,omitempty"`
	// Missing are the attempts that the log has and the caller does not know.
	Missing []webhook.AttemptSummary `json:"missing,omitempty"`
}

// DrainInput asks to make the attempts that wait in an endpoint's queue.
type DrainInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// Window is how many attempts may be in flight at the start; 0: as few as for a receiver that nothing is known of.
	Window int `json:"window,omitempty"`
}

// QueueEnd says why a queue has nothing to do any more.
type QueueEnd string

// The ends of a queue.
const (
	QueueEmpty    QueueEnd = "empty"    // nothing waits
	QueueDisabled QueueEnd = "disabled" // the endpoint is disabled, and what waits is held
	QueueDeleted  QueueEnd = "deleted"  // the endpoint was deleted, and what waited is canceled
)

// DrainResult is what a drain did, and what comes next.
type DrainResult struct {
	// Window is how many attempts may be in flight at the start of the next drain.
	Window int `json:"window"`
	// Attempts is how many attempts were made, and Delivered how many of them delivered.
	Attempts  int `json:"attempts,omitempty"`
	Delivered int `json:"delivered,omitempty"`
	// Waiting is how many deliveries wait, counted up to 100,000.
	Waiting int `json:"waiting,omitempty"`
	// End is "" while the queue has something to do.
	End QueueEnd `json:"end,omitempty"`
	// Next is how long until the next drain has something to do, and Why says what it waits for, for people to read.
	Next time.Duration `json:"next,omitempty"`
	Why  string        `json:"why,omitempty"`
	// Host is the endpoint's, for people to read; "" when no attempt failed.
	Host string `json:"host,omitempty"`
}

// SetEnabledInput asks to disable or enable an endpoint for a person who signaled a workflow.
type SetEnabledInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Enabled    bool               `json:"enabled"`
	Reason     string             `json:"reason,omitempty"`
}
