package activities_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

const (
	secretText = "whsec_c2VjcmV0IGtleSBvZiB0aGUgdGVzdA=="
	headerText = "custom-header-s3cret"
)

var (
	deliveryID = webhook.NewID[webhook.DeliveryID]([16]byte{0xd, 1})
	endpointID = webhook.NewID[webhook.EndpointID]([16]byte{0xe, 1})
	errDown    = webhook.Errorf(webhook.CodeUnavailable, "the database does not answer").WithCause(context.DeadlineExceeded)
	errMissing = webhook.Errorf(webhook.CodeNotFound, "no such thing")
)

// fakeStore is a database with one delivery. A func field that is set replaces what a method does.
type fakeStore struct {
	mu       sync.Mutex
	sending  store.Sending
	recorded []*store.Record
	noted    []string // who asked for which attempt of which delivery
	reads    int

	// whileReading is called by several at the same time, before onSending.
	whileReading      func()
	onSending         func() (*store.Sending, error)
	onRecord          func(ctx context.Context, r *store.Record) (*webhook.Delivery, error)
	onRecorded        func(from int) ([]webhook.AttemptSummary, error)
	onQueue           func(id webhook.DeliveryID, after time.Duration) (bool, error)
	onHold            func() (*webhook.Delivery, error)
	onCancel          func(reason string) (*webhook.Delivery, error)
	onDelivery        func() (*webhook.Delivery, error)
	onCancelOfDeleted func(limit int) ([]store.HeldDelivery, bool, error)
	streak            *webhook.Streak
}

func (s *fakeStore) Sending(_ context.Context, in store.Target) (*store.Sending, error) {
	if s.whileReading != nil {
		s.whileReading()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.onSending != nil {
		return s.onSending()
	}
	if in.DeliveryID != s.sending.Delivery.ID || in.EndpointID != endpointID || in.Tenant != "acme" {
		return nil, errMissing
	}
	out := s.sending
	return &out, nil
}

func (s *fakeStore) RecordAttempt(ctx context.Context, r *store.Record) (*store.Recorded, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.recorded = append(s.recorded, r)
	if s.onRecord != nil {
		d, err := s.onRecord(ctx, r)
		if err != nil {
			return nil, err
		}
		return &store.Recorded{Delivery: *d, Streak: s.streak}, nil
	}
	d := s.sending.Delivery
	d.Status, d.Attempts, d.NextAttemptAt = r.Status, r.Attempt.Number, r.NextAttemptAt
	return &store.Recorded{Delivery: d, Streak: s.streak}, nil
}

func (s *fakeStore) RecordedAttempts(_ context.Context, _ webhook.DeliveryID, from int) ([]webhook.AttemptSummary, error) {
	return s.onRecorded(from)
}

func (s *fakeStore) HoldDelivery(context.Context, string, webhook.DeliveryID, time.Time) (*webhook.Delivery, error) {
	return s.onHold()
}

func (s *fakeStore) CancelDelivery(_ context.Context, _ string, _ webhook.DeliveryID, reason string, _ time.Time) (*webhook.Delivery, error) {
	return s.onCancel(reason)
}

func (s *fakeStore) Receiver(_ context.Context, tenant string, id webhook.EndpointID) (*store.Sending, error) {
	if tenant != "acme" || id != endpointID {
		return nil, errMissing
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &store.Sending{Tenant: s.sending.Tenant, Endpoint: s.sending.Endpoint, Keys: s.sending.Keys}, nil
}

func (s *fakeStore) Delivery(context.Context, string, webhook.DeliveryID) (*webhook.Delivery, error) {
	return s.onDelivery()
}

func (s *fakeStore) QueueDelivery(_ context.Context, _ string, id webhook.DeliveryID, after time.Duration) (bool, error) {
	return s.onQueue(id, after)
}

func (s *fakeStore) NoteRetry(ctx context.Context, _ string, id webhook.DeliveryID, attempt int, _ string) error {
	s.noted = append(s.noted, fmt.Sprintf("%s %s %d", store.ActorOf(ctx).Name, id, attempt))
	return nil
}

func (s *fakeStore) CancelDeliveriesOfDeleted(_ context.Context, _ string, _ webhook.EndpointID, _ string, _ time.Time, limit int) ([]store.HeldDelivery, bool, error) {
	return s.onCancelOfDeleted(limit)
}

// fakeEngine writes down what it is told. A func field that is set says what a method answers.
type fakeEngine struct {
	mu        sync.Mutex
	told      []string
	gone      string // the URL that answered 410
	onTell    func(eventID string) error
	onWake    func() error
	onDisable func() error
	onEnable  func() error
}

func (e *fakeEngine) tell(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = append(e.told, what)
}

func (e *fakeEngine) EndWorkflowsOf(_ context.Context, tenant string, before time.Time) error {
	e.tell("end workflows of " + tenant + " before " + before.Format(time.RFC3339))
	return nil
}

func (e *fakeEngine) WakeQueue(_ context.Context, tenant string, id webhook.EndpointID) error {
	if e.onWake != nil {
		if err := e.onWake(); err != nil {
			return err
		}
	}
	e.tell(fmt.Sprintf("wake %s %s", tenant, id))
	return nil
}

func (e *fakeEngine) DisableEndpoint(_ context.Context, _ string, _ webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	e.tell("disable: " + change.Reason)
	e.mu.Lock()
	e.gone = change.URL
	e.mu.Unlock()
	if e.onDisable != nil {
		return nil, e.onDisable()
	}
	return nil, nil
}

func (e *fakeEngine) EnableEndpoint(context.Context, string, webhook.EndpointID, webhook.Change) (*webhook.Endpoint, error) {
	e.tell("enable")
	if e.onEnable != nil {
		return nil, e.onEnable()
	}
	return nil, nil
}

func (e *fakeEngine) DisableFailing(_ context.Context, _ string, _ webhook.EndpointID, rule *webhook.AutoDisable, _ time.Time) (*webhook.Endpoint, error) {
	e.tell(fmt.Sprintf("disable failing: %d", rule.Failures))
	if e.onDisable != nil {
		return nil, e.onDisable()
	}
	return nil, nil
}

func (e *fakeEngine) TellCanceled(_ context.Context, _, eventID string, _ webhook.EndpointID, reason string) error {
	if e.onTell != nil {
		if err := e.onTell(eventID); err != nil {
			return err
		}
	}
	e.tell("canceled " + eventID + ": " + reason)
	return nil
}

// bundle is what a test of activities works with.
type bundle struct {
	store    *fakeStore
	engine   *fakeEngine
	options  activities.Options
	logged   *bytes.Buffer
	env      *testsuite.TestActivityEnvironment
	registry *prometheus.Registry
	acts     *activities.Activities
}

// Attempts of wide events that work at the same time in tests, whatever machine they run on.
const wideBegins, wideEnds = 4, 16

// setup returns activities whose one delivery goes to a receiver with the given behavior.
func setup(t *testing.T, receive http.HandlerFunc, adjust ...func(*activities.Options)) *bundle {
	t.Helper()
	s := serveTLS(t, receive)
	b := &bundle{
		store: &fakeStore{sending: store.Sending{
			Delivery: webhook.Delivery{
				ID: deliveryID, EventID: "evt_1", EventType: "order.confirmed", EndpointID: endpointID, Status: webhook.StatusPending,
			},
			Endpoint: &webhook.Endpoint{
				ID: endpointID, TenantID: "acme", URL: s.URL + "/hook?token=s3cret-query", Headers: map[string]string{"X-Partner": headerText},
			},
			Tenant: &webhook.Tenant{ID: "acme", Dialect: "plain"},
			Keys:   webhook.SigningKeys{Current: webhook.SecretFromText(secretText)},
			Body:   webhook.Body{Bytes: []byte(`{"id":"","data":{}}`), DeliveryIDAt: 7},
		}},
		engine: &fakeEngine{}, logged: new(bytes.Buffer), registry: prometheus.NewRegistry(),
	}
	b.options = activities.Options{
		Store: b.store, Engine: b.engine, Transport: newTransport(t, s), Dialects: map[string]*webhook.Dialect{"plain": plainDialect()},
		Logger: slog.New(slog.NewTextHandler(b.logged, nil)), Registerer: b.registry,
		WideBegins: wideBegins, WideEnds: wideEnds, FastWait: time.Millisecond, IsolatedWait: time.Millisecond, RecordTimeout: 5 * time.Second,
	}
	for _, f := range adjust {
		f(&b.options)
	}
	b.acts = activities.New(b.options)
	var suite testsuite.WorkflowTestSuite
	b.env = suite.NewTestActivityEnvironment()
	activities.Register(b.env, b.acts)
	return b
}

func plainDialect() *webhook.Dialect {
	return &webhook.Dialect{
		Name: "plain",
		Headers: map[string]string{
			"Content-Type": "application/json", "User-Agent": "Plain/1.0", "X-Id": "{delivery_id}", "X-Timestamp": "{timestamp}",
		},
		Signatures: []webhook.Signature{{
			Header: "X-Signature", Format: "sha256={signature}", Algorithm: webhook.HMACSHA256, Encoding: webhook.EncodeHex,
			Input: "{body}", Key: webhook.KeyText,
		}},
		Timeout: webhook.Duration(10 * time.Second), GoneDisables: true,
	}
}

func input() activities.AttemptInput {
	return activities.AttemptInput{
		Tenant: "acme", EventKey: webhook.NewID[webhook.EventKey]([16]byte{0xa}), DeliveryID: deliveryID, EndpointID: endpointID,
		Number: 1, Lane: activities.LaneFast,
		Policy: webhook.RetryPolicy{
			Schedule: []webhook.Duration{webhook.Duration(time.Minute)}, RetryAfterMax: webhook.Duration(time.Hour),
		},
	}
}

// attempt runs the activity the way its lane does.
func (b *bundle) attempt(t *testing.T, in activities.AttemptInput) (*activities.AttemptResult, error) {
	t.Helper()
	run := b.env.ExecuteActivity
	if in.Lane == activities.LaneFast {
		run = b.env.ExecuteLocalActivity
	}
	value, err := run(b.acts.Attempt, in)
	if err != nil {
		b.requireNoSecrets(t, err.Error())
		return nil, err
	}
	var out activities.AttemptResult
	require.NoError(t, value.Get(&out))
	b.requireNoSecrets(t, out)
	return &out, nil
}

// requireNoSecrets looks for secrets in what an activity returned, recorded and logged. The record has the URL, which those who may
// read it see of the endpoint as well.
func (b *bundle) requireNoSecrets(t *testing.T, out any) {
	t.Helper()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	recorded := make([]store.Record, len(b.store.recorded))
	for i, r := range b.store.recorded {
		recorded[i] = *r
		require.Contains(t, r.Attempt.URL, "?token=s3cret-query")
		recorded[i].Attempt.URL = ""
	}
	text, err := json.Marshal([]any{out, recorded})
	require.NoError(t, err)
	for _, where := range []string{string(text), b.logged.String()} {
		for _, secret := range []string{secretText, strings.TrimPrefix(secretText, "whsec_"), headerText, "s3cret-query"} {
			require.NotContains(t, where, secret)
		}
	}
	require.NotContains(t, b.logged.String(), "sha256=", "only the record has the signature")
}

func answer(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// holding is a receiver that answers when it is released, or when nobody waits for its answer any more: a test that fails before ends all
// the same.
func holding(release <-chan struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
}

// received returns what comes from a channel. A test that would wait for ever fails by its name.
func received[T any](t *testing.T, from <-chan T) (what T) {
	t.Helper()
	select {
	case what = <-from:
	case <-time.After(4 * bounded):
		require.Fail(t, "nothing has come")
	}
	return what
}

// unreachable is a receiver that nothing may be sent to.
func unreachable(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("a request arrived that must not be sent") }
}
