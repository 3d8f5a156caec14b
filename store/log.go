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

// DeliveryFilter selects deliveries of a tenant, newest first. Zero values select all.
type DeliveryFilter struct {
	EndpointID webhook.EndpointID
	Status     webhook.Status
	EventType  string
	// Since and Until bound the time of publication: since <= created < until.
	Since, Until time.Time
	Page         Page
}

// StoredEvent is an event as stored. Its Event.Data is the data within Body.
type StoredEvent struct {
	webhook.Event
	Body      webhook.Body
	CreatedAt time.Time
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
	// History returns an event's deliveries with their attempts, from the log.
	History(ctx context.Context, tenant, eventID string) (*webhook.History, error)
}

// Deliveries is the delivery log.
type Deliveries interface {
	// Deliveries lists a tenant's deliveries, newest first. Page.After is an id.
	Deliveries(ctx context.Context, tenant string, f DeliveryFilter) ([]webhook.Delivery, error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)
	// CancelDelivery settles a delivery as canceled and returns it. CodeConflict: it is already settled.
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	// HoldDelivery makes an unsettled delivery held, but only while its endpoint is disabled, and returns the delivery as
	// it is after the commit. A delivery to a deleted endpoint is not held.
	HoldDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, at time.Time) (*webhook.Delivery, error)
	// Attempts lists a delivery's attempts by number, from 1. Page.After is an attempt's id.
	Attempts(ctx context.Context, tenant string, delivery webhook.DeliveryID, page Page) ([]webhook.Attempt, error)
	// Attempt returns an attempt of one of the tenant's deliveries.
	Attempt(ctx context.Context, tenant string, id webhook.AttemptID) (*webhook.Attempt, error)
}
