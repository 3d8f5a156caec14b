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
	// Scheduled is how many of the attempts before this one the retry policy counts; 0: all, that is Number-1.
	Scheduled int `json:"scheduled,omitempty"`
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
}

// SetStatusResult is the delivery's state afterwards.
type SetStatusResult struct {
	Status webhook.Status `json:"status"`
	Reason string         `json:"reason,omitempty"`
	// Missing are the attempts that the log has and the caller does not know.
	Missing []webhook.AttemptSummary `json:"missing,omitempty"`
}

// WakeInput asks to wake one page of an endpoint's held deliveries.
type WakeInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// After is the last delivery of the page before; zero for the first page.
	After webhook.DeliveryID `json:"after"`
	Limit int                `json:"limit"`
	// Version is the endpoint's version at the first page; 0 on the first page.
	Version int64 `json:"version,omitempty"`
}

// WakeResult is the result of one page.
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
