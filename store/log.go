package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// Page selects a part of a list. After is the id of the last item of the page before, "" for the first page.
type Page struct {
	After string
	Limit int
}

// Part is what one call reads of a list: at most Page.Limit items. Next is where the list goes on when the search ended before the
// page was full, because the filters let through few of the rows that it looked at; "" otherwise.
type Part[T any] struct {
	Items []T
	Next  string
}

// DeliveryFilter selects deliveries of a tenant, newest first. Zero values select all.
type DeliveryFilter struct {
	// EventID is the id that callers know.
	EventID    string
	EndpointID webhook.EndpointID
	// Statuses are alternatives.
	Statuses  []webhook.Status
	EventType string
	// StatusCode is that of the last attempt; 0: it got no answer.
	StatusCode *int
	ErrorClass webhook.ErrorClass
	Test       *bool
	// Since and Until bound the time of publication: since <= created < until.
	Since, Until time.Time
	// Within selects those to endpoints that the session may see.
	Within webhook.Confinement
	Page   Page
}

// EventFilter selects events of a tenant, newest first. Zero values select all.
type EventFilter struct {
	Type string
	// Attributes and Metadata are names with the value that each must have.
	Attributes, Metadata map[string]string
	Test                 *bool
	// Since and Until bound the time of publication: since <= published < until, to the millisecond. An event that was written with
	// SQL was published then, however long it waited in the outbox.
	Since, Until time.Time
	// Within selects those that the session may see.
	Within webhook.Confinement
	// Page.After is an event's key.
	Page Page
}

// StoredEvent is an event as stored. Its Event.Data is the data within Body.
type StoredEvent struct {
	webhook.Event
	// Body is empty where the event was erased.
	Body      webhook.Body
	CreatedAt time.Time
	// ErasedAt is when what the event says was erased; nil: it was not.
	ErasedAt *time.Time
}

// Events keeps events.
type Events interface {
	// Accept stores the event with a delivery for each endpoint that subscribes to it at this moment, and returns after the
	// commit. When the caller used the id before, the answer is the first receipt again, or CodeEventIDConflict if the
	// request differs. CodeRecipientLimit: too many endpoints subscribe, and nothing was stored. After CodeUnavailable the
	// event may be stored or not; a repetition with the same id tells.
	Accept(ctx context.Context, p *webhook.Publication) (*webhook.Receipt, error)
	// Event returns an event by the id that callers know.
	Event(ctx context.Context, tenant, eventID string) (*StoredEvent, error)
	// Events lists a tenant's events, newest first, without their bodies.
	Events(ctx context.Context, tenant string, f EventFilter) (*Part[StoredEvent], error)
	// Progress returns how far each delivery of an event is.
	Progress(ctx context.Context, tenant, eventID string) ([]Progress, error)
	// History returns an event's deliveries with their attempts, from the log.
	History(ctx context.Context, tenant, eventID string) (*webhook.History, error)
}

// SentAttempt is an attempt with the bytes that it sent; RequestBody is nil when the event is no longer stored.
type SentAttempt struct {
	webhook.Attempt
	RequestBody []byte
}

// Progress is how far a delivery is by the log.
type Progress struct {
	ID       webhook.DeliveryID `db:"id"`
	Status   webhook.Status     `db:"status"`
	Attempts int                `db:"attempts"`
	// Queued says that the endpoint's queue owns the delivery, not the event's workflow.
	Queued bool `db:"queued"`
}

// Deliveries is the delivery log.
type Deliveries interface {
	// Deliveries lists a tenant's deliveries, newest first. Page.After is an id.
	Deliveries(ctx context.Context, tenant string, f DeliveryFilter) (*Part[webhook.Delivery], error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)
	// CancelDelivery settles a delivery as canceled and returns it. CodeConflict: it is already settled.
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	// HoldDelivery makes an unsettled delivery held, but only while its endpoint is disabled, and returns the delivery as
	// it is after the commit. A delivery to a deleted endpoint is not held.
	HoldDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, at time.Time) (*webhook.Delivery, error)
	// Attempts lists a delivery's attempts by number, from 1. Page.After is an attempt's id.
	Attempts(ctx context.Context, tenant string, delivery webhook.DeliveryID, page Page) ([]webhook.Attempt, error)
	// Attempt returns an attempt of one of the tenant's deliveries.
	Attempt(ctx context.Context, tenant string, id webhook.AttemptID) (*SentAttempt, error)
}
