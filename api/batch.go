package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"waybill/webhook"
)

// maxBatch is how many events one batch may have.
const maxBatch = 500

// batchTime is how long the events of a batch are checked. A tenant's own schema may take half a second for one event, and what
// follows must still be stored and answered before the write timeout.
const batchTime = 15 * time.Second

type batchInput struct {
	Events []json.RawMessage `json:"events"`
}

// batchResult is the result of one event of a batch: a receipt or a problem.
type batchResult struct {
	Status int `json:"status"`
	*webhook.Receipt
	Repeated bool     `json:"repeated,omitempty"`
	Problem  *problem `json:"problem,omitempty"`
}

type batchView struct {
	Results []batchResult `json:"results"`
}

// publishBatch is POST /v1/tenants/{tenant}/events/batch. Each event succeeds or fails alone: the answer has a result for
// each, in order.
func (s *Server) publishBatch(w http.ResponseWriter, r *http.Request, c *call) error {
	if r.Header.Get("Idempotency-Key") != "" {
		return invalid("request", webhook.FieldError{Field: "Idempotency-Key", Detail: "cannot be used for a batch; give each event an id"})
	}
	var in batchInput
	if err := decode(w, r, s.opts.MaxBatchBytes, &in); err != nil {
		return err
	}
	if len(in.Events) == 0 || len(in.Events) > maxBatch {
		return invalid("batch", webhook.FieldError{Field: "events", Detail: fmt.Sprintf("has %d events; a batch has 1 to %d", len(in.Events), maxBatch)})
	}
	if err := s.backlog.Admit(c.tenant.ID, len(in.Events)); err != nil {
		return err // for the whole batch: repeating all of it is easier than repeating a part
	}
	b := batch{server: s, request: r, call: c, results: make([]batchResult, len(in.Events))}
	ctx, span := s.opts.Tracer.Accept(r.Context(), traceparent(r), infoOf(r).route, len(in.Events))
	defer span.End(nil)
	if s.opts.Tracer != nil {
		b.request = r.WithContext(ctx)
	}
	b.traceparent = span.Traceparent()
	defer func() { s.backlog.Done(c.tenant.ID, len(in.Events), b.waiting()) }()
	b.publish(in.Events)
	b.shorten()
	return writeJSON(w, http.StatusOK, batchView{b.results})
}

// batch is the state of one batch.
type batch struct {
	server  *Server
	request *http.Request
	call    *call
	results []batchResult
	// traceparent is that of all its events.
	traceparent webhook.Traceparent
}

// publish accepts the events concurrently, so that they share transactions. An id that is repeated in the batch waits for
// its first occurrence, so that the result is the same as one after the other.
func (b *batch) publish(events []json.RawMessage) {
	var wg sync.WaitGroup
	var later []func()
	seen := map[string]bool{}
	until := b.server.now().Add(batchTime)
	for i, text := range events {
		if b.server.now().After(until) || b.request.Context().Err() != nil {
			b.results[i] = b.failed(webhook.Errorf(webhook.CodeOverloaded,
				"the schemas of this batch's events take long to check, and this one was not checked; send it again, in a smaller batch"))
			continue
		}
		p, err := b.prepare(text)
		if err != nil {
			b.results[i] = b.failed(err)
			continue
		}
		accept := func() { b.results[i] = b.accept(p) }
		if seen[p.Event.ID] {
			later = append(later, accept)
			continue
		}
		seen[p.Event.ID] = true
		wg.Go(accept)
	}
	wg.Wait()
	for _, accept := range later {
		accept()
	}
}

func (b *batch) prepare(text json.RawMessage) (*webhook.Publication, error) {
	if limit := b.server.opts.MaxBodyBytes; int64(len(text)) > limit {
		return nil, webhook.Errorf(webhook.CodeTooLarge, "the event exceeds %d bytes", limit)
	}
	var in eventInput
	if err := decodeObject("event", text, &in); err != nil {
		return nil, err
	}
	p, err := b.server.publication(b.request.Context(), b.call, &in, "")
	if err != nil {
		return nil, err
	}
	p.Traceparent = b.traceparent
	return p, nil
}

func (b *batch) accept(p *webhook.Publication) batchResult {
	var receipt *webhook.Receipt
	// Nothing else recovers a panic outside of the request's goroutine.
	err := safely(func() (err error) {
		receipt, err = b.server.store.Accept(b.request.Context(), p)
		return err
	})
	if err != nil {
		return b.failed(err)
	}
	shown := showReceipt(receipt)
	return batchResult{Status: http.StatusAccepted, Receipt: &shown, Repeated: receipt.Repeated}
}

// waiting returns how many of the events wait to be dispatched; unknown ones count.
func (b *batch) waiting() int {
	n := 0
	for _, r := range b.results {
		n += waiting(b.request.Context(), r.Receipt, r.Repeated)
	}
	return n
}

// maxBatchErrors is how many field errors the answer to a batch lists in total. Beyond it, a problem has only its first
// one, in its detail.
const maxBatchErrors = maxBatch

func (b *batch) shorten() {
	left := maxBatchErrors
	for _, r := range b.results {
		if r.Problem != nil {
			r.Problem.Errors = r.Problem.Errors[:min(left, len(r.Problem.Errors))]
			left -= len(r.Problem.Errors)
		}
	}
}

func (b *batch) failed(err error) batchResult {
	p := b.server.problem(b.request, err)
	return batchResult{Status: p.Status, Problem: &p}
}
