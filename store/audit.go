package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// Actor is who makes a change, and from where. It travels in the context of a call, so that each method that changes something
// can write its audit entry in the transaction of the change.
type Actor struct {
	// Name is as in webhook.AuditEntry.
	Name string
	// Address is an IP address, "" where the change came by no request.
	Address string
	// RequestID is as in webhook.AuditEntry.
	RequestID string
}

type actorKey struct{}

// WithActor returns a context whose changes are made by the actor.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns the actor of a context; Waybill itself where there is none.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Name: webhook.ByWaybill}
}

// AuditFilter selects audit entries, newest first. Zero values select all.
type AuditFilter struct {
	// TenantID is the tenant that they are about; "": all, and those about none.
	TenantID string
	// Actor, Action and Target are as in webhook.AuditEntry.
	Actor, Action, Target string
	// Since and Until bound the time of the change: since <= at < until.
	Since, Until time.Time
	// Page.After is an id.
	Page Page
}

// Audits keeps the audit entries. The methods that change something write them, each in the transaction of its change.
type Audits interface {
	Audit(ctx context.Context, f AuditFilter) (*Part[webhook.AuditEntry], error)
	// NoteRetry writes the entry of an attempt that somebody asked the delivery's workflow for, because asking writes nothing else. attempt
	// is its number, of which there is one entry however often the attempt is tried; 0: it is not known yet.
	NoteRetry(ctx context.Context, tenant string, id webhook.DeliveryID, attempt int, reason string) error
}
