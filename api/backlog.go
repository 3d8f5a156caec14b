package api

import (
	"context"

	"waybill/webhook"
)

// noBacklog admits everything.
type noBacklog struct{}

func (noBacklog) Admit(string, int) error { return nil }
func (noBacklog) Done(string, int, int)   {}
func (noBacklog) Limit() int              { return 0 }

// admitted stores a publication if the backlog admits it.
func (s *Server) admitted(ctx context.Context, p *webhook.Publication) (receipt *webhook.Receipt, err error) {
	if err := s.backlog.Admit(p.Event.TenantID, 1); err != nil {
		return nil, err
	}
	defer func() { s.backlog.Done(p.Event.TenantID, 1, waiting(ctx, receipt, receipt != nil && receipt.Repeated)) }()
	return s.store.Accept(ctx, p)
}

// waiting returns 1 for an event that waits to be dispatched now, else 0. When the caller left before the answer, it is not
// known whether the event was stored, so it counts.
func waiting(ctx context.Context, r *webhook.Receipt, repeated bool) int {
	if r == nil && ctx.Err() != nil || r != nil && !repeated && len(r.Deliveries) > 0 {
		return 1
	}
	return 0
}
