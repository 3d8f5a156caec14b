package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"waybill/webhook"
)

// enableInput is the optional body of the call. All but Test are as in a test.
type enableInput struct {
	Test       bool              `json:"test"`
	Type       string            `json:"type"`
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes"`
	// Secret is which secret signs the test.
	Secret webhook.SecretChoice `json:"secret"`
}

// enableEndpoint is POST /v1/tenants/{tenant}/endpoints/{endpoint}/enable. With test it enables only if a test is accepted. A process
// that dies in between leaves the endpoint as it was.
func (s *Server) enableEndpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.EndpointID](r, "endpoint")
	if err != nil {
		return err
	}
	var in enableInput
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	var test *testResult
	switch {
	case in.Test:
		if test, err = s.tryEndpoint(w, r, c, id, &testInput{in.Type, in.Data, in.Attributes, in.Secret}); err != nil {
			return err
		}
	case in.Type != "" || in.Data != nil || in.Attributes != nil || in.Secret != "":
		return invalid("request", webhook.FieldError{Field: "test", Detail: "is true where type, data, attributes or secret of a test are given"})
	}
	e, err := s.engine.EnableEndpoint(r.Context(), c.tenant.ID, id, webhook.Change{By: c.name(), At: s.now()})
	if err != nil {
		return err
	}
	etag, err := c.endpointETag(e)
	if err != nil {
		return err
	}
	view := c.showEndpoint(e)
	view.Test = test
	return writeTagged(w, etag, view)
}

// testResult is a test that the receiver accepted.
type testResult struct {
	EventID     string               `json:"event_id"`
	DeliveryID  webhook.DeliveryID   `json:"delivery_id"`
	LastAttempt *webhook.LastAttempt `json:"last_attempt,omitempty"`
}

const (
	// testMargin is how long the attempt of a test may take in addition to the endpoint's timeout: until its workflow has started,
	// and its record is committed.
	testMargin = 15 * time.Second
	// answerMargin is the time to write the answer.
	answerMargin = 10 * time.Second
	// testPoll is how often the log is asked for the attempt.
	testPoll = 100 * time.Millisecond
)

// tryEndpoint sends a test and waits for its attempt. CodeConflict: the receiver did not accept it. CodeUnavailable: there was no
// attempt in time. CodeOverloaded: too many calls wait.
func (s *Server) tryEndpoint(w http.ResponseWriter, r *http.Request, c *call, id webhook.EndpointID, in *testInput) (*testResult, error) {
	leave, err := s.tests.enter(c.tenant.ID)
	if err != nil {
		return nil, err
	}
	defer leave()
	e, err := s.store.Endpoint(r.Context(), c.tenant.ID, id)
	if err != nil {
		return nil, err
	}
	p, err := s.testPublication(r, c, e, in)
	if err != nil {
		return nil, err
	}
	receipt, err := s.admitted(r.Context(), p)
	if err != nil {
		return nil, err
	}
	if len(receipt.Deliveries) == 0 {
		return nil, webhook.Errorf(webhook.CodeNotFound, "there is no endpoint %q", id) // deleted in between
	}
	wait := e.RequestTimeout(c.dialect) + testMargin
	// The server's own limit for an answer may be shorter. A ResponseWriter without deadlines has no limit.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + answerMargin))
	d, err := s.awaitAttempt(r.Context(), c, receipt.Deliveries[0].ID, wait)
	if err != nil {
		return nil, err
	}
	if d.Status != webhook.StatusDelivered {
		return nil, webhook.Errorf(webhook.CodeConflict, "the receiver did not accept the test, so the endpoint stays as it is: %s; the delivery %s has its answer. "+
			"Mend the receiver and try again, or enable without a test", refusedBecause(d), d.ID)
	}
	return &testResult{d.EventID, d.ID, d.LastAttempt}, nil
}

// refusedBecause says how the attempt of a test failed.
func refusedBecause(d *webhook.Delivery) string {
	switch last := d.LastAttempt; {
	case last == nil:
		return fmt.Sprintf("it is %s: %s", d.Status, d.Reason)
	case last.Error == "":
		return fmt.Sprintf("status %d", last.StatusCode)
	default:
		return last.Error
	}
}

// awaitAttempt returns a delivery once an attempt was made, or none will be.
func (s *Server) awaitAttempt(ctx context.Context, c *call, id webhook.DeliveryID, wait time.Duration) (*webhook.Delivery, error) {
	end, poll := time.NewTimer(wait), time.NewTicker(testPoll)
	defer end.Stop()
	defer poll.Stop()
	for {
		d, err := s.store.Delivery(ctx, c.tenant.ID, id)
		if err != nil || d.Attempts > 0 || d.Status.Settled() {
			return d, err
		}
		select {
		case <-poll.C:
		case <-end.C:
			return nil, webhook.Errorf(webhook.CodeUnavailable, "the test was not attempted within %s, so the endpoint stays as it is; see the delivery %s, and try again",
				webhook.Duration(wait), id)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
