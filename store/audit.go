package store

import (
	"context"

	"waybill/webhook"
)

// Actor is who makes a change, and from where. It travels in the context of a call, so that each method that changes something
// can write its audit entry in the transaction of the change.
type Actor struct {
	// Name is as in webhook.AuditEntry.
	Name string
	// Address is an IP address, "" where the change came by no request.
	Address   string
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
