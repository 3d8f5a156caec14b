package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"waybill/store"
	"waybill/tracing"
	"waybill/webhook"
)

type eventInput struct {
	Type       string            `json:"type"`
	Data       json.RawMessage   `json:"data"`
	ID         *string           `json:"id"`
	OccurredAt *moment           `json:"occurred_at"`
	Attributes map[string]string `json:"attributes"`
	Metadata   map[string]string `json:"metadata"`
}

// publishEvent is POST /v1/tenants/{tenant}/events.
func (s *Server) publishEvent(w http.ResponseWriter, r *http.Request, c *call) (err error) {
	ctx, span := s.opts.Tracer.Accept(r.Context(), traceparent(r), infoOf(r).route, 1)
	defer func() { span.End(err) }()
	if s.opts.Tracer != nil {
		r = r.WithContext(ctx)
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var in eventInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	p, err := s.publication(r.Context(), c, &in, key)
	if err != nil {
		return err
	}
	p.Traceparent = span.Traceparent()
	span.Event(tracing.Event{Tenant: c.tenant.ID, ID: p.Event.ID, Type: p.Event.Type})
	return s.accept(w, r, p)
}

// accept stores the publication and answers with the receipt. A repetition gets the first answer again, with a header that
// says so.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, p *webhook.Publication) error {
	receipt, err := s.admitted(r.Context(), p)
	if err != nil {
		return err
	}
	s.opts.Failpoint("before-reply")
	if receipt.Repeated {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	return writeJSON(w, http.StatusAccepted, showReceipt(receipt))
}

func showReceipt(r *webhook.Receipt) webhook.Receipt {
	out := *r
	if out.Deliveries == nil {
		out.Deliveries = []webhook.ReceiptDelivery{}
	}
	return out
}

// idempotencyKey returns the header Idempotency-Key, "" when there is none.
func idempotencyKey(r *http.Request) (string, error) {
	given := r.Header.Values("Idempotency-Key")
	if len(given) == 0 {
		return "", nil
	}
	key := given[0]
	good := len(given) == 1 && len(key) >= 1 && len(key) <= 255
	for _, b := range []byte(key) {
		good = good && b >= ' ' && b <= '~'
	}
	if !good {
		return "", invalid("request", webhook.FieldError{Field: "Idempotency-Key", Detail: "is 1 to 255 printable ASCII characters, sent once"})
	}
	return key, nil
}

// publication builds and checks the publication of an event.
func (s *Server) publication(ctx context.Context, c *call, in *eventInput, idempotencyKey string) (*webhook.Publication, error) {
	now := s.now()
	e := &webhook.Event{
		Key: webhook.NewID[webhook.EventKey](s.opts.NewUUID()), TenantID: c.tenant.ID,
		Type: in.Type, OccurredAt: now, Attributes: in.Attributes, Metadata: in.Metadata, Data: in.Data,
	}
	asked := (*time.Time)(in.OccurredAt)
	if asked != nil {
		e.OccurredAt = asked.UTC()
	}
	callerID := true
	switch {
	case in.ID != nil:
		e.ID = *in.ID
	case idempotencyKey != "":
		e.ID = webhook.IDFromIdempotencyKey(idempotencyKey)
	default:
		e.ID, callerID = e.Key.String(), false
	}
	own, err := s.ownType(ctx, c, e.Type)
	if err != nil {
		return nil, err
	}
	p, err := webhook.NewPublication(e, c.tenant, c.dialect, own, s.schemas, asked, now)
	if err != nil {
		return nil, err
	}
	p.CallerID = callerID
	return p, nil
}

// eventView is an event as shown. Data has the published value; white space within it may differ. A list leaves it out.
type eventView struct {
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	OccurredAt time.Time         `json:"occurred_at"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	Test       bool              `json:"test"`
	Data       json.RawMessage   `json:"data,omitempty"`
	CreatedAt  time.Time         `json:"created_at"`
	// ErasedAt is when what the event says was erased.
	ErasedAt *time.Time `json:"erased_at,omitempty"`
}

// getEvent is GET /v1/tenants/{tenant}/events/{event}.
func (s *Server) getEvent(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathText(r, "event")
	if err != nil {
		return err
	}
	e, err := s.store.Event(r.Context(), c.tenant.ID, id)
	if err != nil {
		return err
	}
	shown := showEvent(e)
	shown.Data = e.Data
	return writeJSON(w, http.StatusOK, shown)
}

func showEvent(e *store.StoredEvent) eventView {
	return eventView{
		ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, Attributes: e.Attributes, Metadata: e.Metadata, Test: e.Test, CreatedAt: e.CreatedAt,
		ErasedAt: e.ErasedAt,
	}
}
