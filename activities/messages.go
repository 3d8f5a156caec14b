package activities

import (
	"time"

	"waybill/webhook"
)

// maxReasonBytes bounds what a person gives as a reason.
const maxReasonBytes = 500

// CleanReason returns a reason that a database and a terminal can show, at most 500 bytes long.
func CleanReason(reason string) string { return clean(reason, maxReasonBytes) }

// Lane is the way an attempt runs.
type Lane string

// The lanes.
const (
	LaneFast     Lane = "fast"     // a local activity inside the workflow task
	LaneIsolated Lane = "isolated" // an activity on a queue of its own, fair among endpoints, for those that are slow
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
	// Manual: a person asked for the attempt. When it fails, the retry policy goes on as if it had not been made.
	Manual bool `json:"manual,omitempty"`
	// Scheduled is how many of the attempts before this one the retry policy counts; 0: all, that is Number-1.
	Scheduled int `json:"scheduled,omitempty"`
}

// position is the attempt's number as the retry policy counts.
func (in *AttemptInput) position() int {
	if in.Scheduled == 0 {
		return in.Number
	}
	return in.Scheduled + 1
}

// AttemptResult tells how the delivery stands after an attempt, or why none was made.
type AttemptResult struct {
	// Spilled: nothing was sent, because the fast lane has no room for this endpoint now; take the isolated lane, after
	// Delay.
	Spilled bool `json:"spilled,omitempty"`
	// FollowOn: the attempt is under way and takes long; ask for its result on this task queue.
	FollowOn string `json:"follow_on,omitempty"`
	// Status is the delivery's from now on.
	Status webhook.Status `json:"status,omitempty"`
	// Reason says why the delivery is held or canceled.
	Reason string `json:"reason,omitempty"`
	// Delay separates now from the next attempt while retrying, or spilled.
	Delay time.Duration `json:"delay,omitempty"`
	// Attempt is what was recorded; nil when nothing was sent.
	Attempt *webhook.AttemptSummary `json:"attempt,omitempty"`
	// Missing are the attempts after it that the log has already: a workflow that begins anew does not know of them.
	Missing []webhook.AttemptSummary `json:"missing,omitempty"`
	// Host is the endpoint's, for people to read; "" when the attempt delivered.
	Host string `json:"host,omitempty"`
}

// Names under which activities are registered where they are not those of their methods: recorded histories have them.
const (
	NameSetStatus  = "Mark"
	NameSetEnabled = "Switch"
)

// SetStatusInput asks to write a status that no attempt led to: held, or canceled.
type SetStatusInput struct {
	Tenant     string             `json:"tenant"`
	DeliveryID webhook.DeliveryID `json:"delivery_id"`
	Status     webhook.Status     `json:"status"`
	Reason     string             `json:"reason"`
	// Attempts is how many attempts the asker knows of.
	Attempts int `json:"attempts,omitempty"`
}

// SetStatusResult tells how the delivery stands afterwards.
type SetStatusResult struct {
	Status webhook.Status `json:"status"`
	Reason string         `json:"reason,omitempty"`
	// Missing are the attempts that the log has and the asker does not know of.
	Missing []webhook.AttemptSummary `json:"missing,omitempty"`
}

// WakeInput asks to wake one page of an endpoint's held deliveries.
type WakeInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// After is the last delivery of the page before; zero for the first page.
	After webhook.DeliveryID `json:"after"`
	Limit int                `json:"limit"`
	// Version is the endpoint's, as the first page found it; 0 on the first page.
	Version int64 `json:"version,omitempty"`
}

// WakeResult tells how far a page went.
type WakeResult struct {
	Last    webhook.DeliveryID `json:"last"`
	Version int64              `json:"version"`
	// Woken is how many deliveries the page had.
	Woken int `json:"woken"`
	// Done: no page follows, because this was the last, or because the endpoint was changed, disabled or deleted.
	Done bool `json:"done,omitempty"`
}

// SetEnabledInput asks to disable or enable an endpoint for a person who signaled a workflow.
type SetEnabledInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Enabled    bool               `json:"enabled"`
	Reason     string             `json:"reason,omitempty"`
}
