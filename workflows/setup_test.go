package workflows_test

import (
	"context"
	"encoding/binary"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/engine"
	"waybill/schemas"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

var began = time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)

const (
	ok   = 200
	down = 503
)

// made is one attempt that a story saw.
type made struct {
	endpoint webhook.EndpointID
	number   int
	lane     activities.Lane
	after    time.Duration // since the event was published
}

// story is one workflow on virtual time, with receivers and a database that the test plays.
type story struct {
	t       *testing.T
	env     *testsuite.TestWorkflowEnvironment
	dialect *webhook.Dialect

	mu sync.Mutex
	// answer says what a receiver answers to an attempt; nil: 200.
	answer func(in activities.AttemptInput) int
	// refuse answers for the fast lane when it does not attempt; nil and nil: it does.
	refuse func(in activities.AttemptInput) (*activities.AttemptResult, error)
	// fault fails an attempt, or setting a status or an endpoint enabled, for a fault of ours.
	fault func(endpoint webhook.EndpointID) error
	// before runs at the beginning of each attempt.
	before   func(in activities.AttemptInput)
	disabled map[webhook.EndpointID]string
	canceled map[webhook.DeliveryID]string
	made     []made
	set      []activities.SetStatusInput
	enabling []activities.SetEnabledInput
	inputs   map[webhook.DeliveryID]activities.AttemptInput
	updates  int
	// host is what the real activity would say of the endpoints of failed attempts.
	host string
	// queues says that what is held goes to the endpoint's queue, which activities of an earlier version did not do.
	queues bool
	// adopted says that what an earlier version held belongs to the queue.
	adopted bool
}

func loadDialect(t *testing.T, name string) *webhook.Dialect {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), name+".json")
	require.NoError(t, err)
	d, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	return d
}

// patience is for a busy machine with the race detector: beyond the SDK's second it abandons a workflow's goroutine and reads
// what that still writes.
const patience = time.Hour

// newEnvironment begins at began and knows every workflow.
func newEnvironment() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	// The SDK's thousands of debug lines would hide the failure that a reader looks for.
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartTime(began)
	env.SetTestTimeout(10 * time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience})
	workflows.Register(env)
	return env
}

func newStory(t *testing.T, dialect string) *story {
	t.Helper()
	s := &story{
		t: t, env: newEnvironment(), dialect: loadDialect(t, dialect),
		disabled: map[webhook.EndpointID]string{}, canceled: map[webhook.DeliveryID]string{},
		inputs: map[webhook.DeliveryID]activities.AttemptInput{},
	}
	var a *activities.Activities
	activities.Register(s.env, a)
	s.env.OnActivity(a.Attempt, mock.Anything, mock.Anything).Return(s.attempt).Maybe()
	s.env.OnActivity(activities.NameSetStatus, mock.Anything, mock.Anything).Return(s.setStatus).Maybe()
	s.env.OnActivity(activities.NameSetEnabled, mock.Anything, mock.Anything).Return(s.setEnabled).Maybe()
	return s
}

func endpointID(n int) webhook.EndpointID { return webhook.NewID[webhook.EndpointID](testUUID(1, n)) }
func deliveryID(n int) webhook.DeliveryID { return webhook.NewID[webhook.DeliveryID](testUUID(2, n)) }

func testUUID(kind byte, n int) (id [16]byte) {
	copy(id[:], []byte{0x01, 0x97, 0, 0, 0, 0, 0x70, kind, 0x80})
	binary.BigEndian.PutUint32(id[12:], uint32(n))
	return id
}

// event is an event to endpoints 1 to n, under the dialect's own policy.
func (s *story) event(n int) *workflows.EventDeliveryInput {
	e := &store.Dispatch{
		EventKey: webhook.NewID[webhook.EventKey](testUUID(0, 1)), TenantID: "acme", EventID: "evt_1", EventType: "item.sold",
		Dialect: s.dialect.Name,
	}
	for i := range n {
		e.Deliveries = append(e.Deliveries, store.DispatchDelivery{ID: deliveryID(i + 1), EndpointID: endpointID(i + 1)})
	}
	return engine.NewEventDeliveryInput(e, s.dialect)
}

// deliver runs the workflow to its end and returns its result. One with an exhausted delivery has to fail.
func (s *story) deliver(in *workflows.EventDeliveryInput) workflows.EventDeliveryResult {
	s.t.Helper()
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
	require.True(s.t, s.env.IsWorkflowCompleted())
	var result workflows.EventDeliveryResult
	if err := s.env.GetWorkflowError(); err != nil {
		var failed *temporal.ApplicationError
		require.ErrorAs(s.t, err, &failed)
		require.Equal(s.t, workflows.ErrorTypeExhausted, failed.Type())
		require.NoError(s.t, failed.Details(&result))
		require.Positive(s.t, result.Exhausted)
		return result
	}
	require.NoError(s.t, s.env.GetWorkflowResult(&result))
	require.Zero(s.t, result.Exhausted)
	return result
}

// attempt plays the activity: the database's word first, then the receiver's, judged as the real one judges.
func (s *story) attempt(_ context.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
	if s.before != nil {
		s.before(in)
	}
	if s.fault != nil {
		if err := s.fault(in.EndpointID); err != nil {
			return nil, err
		}
	}
	if s.refuse != nil && in.Lane == activities.LaneFast {
		if out, err := s.refuse(in); out != nil || err != nil {
			return out, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inputs[in.DeliveryID] = in
	if reason, is := s.canceled[in.DeliveryID]; is {
		return &activities.AttemptResult{Status: webhook.StatusCanceled, Reason: reason}, nil
	}
	if reason, is := s.disabled[in.EndpointID]; is {
		return &activities.AttemptResult{Status: webhook.StatusHeld, Reason: reason, Host: s.host, Queued: s.queues}, nil
	}
	status := ok
	if s.answer != nil {
		status = s.answer(in)
	}
	now := s.env.Now()
	s.made = append(s.made, made{in.EndpointID, in.Number, in.Lane, now.Sub(began)})
	position := in.Number
	if in.Scheduled != 0 {
		position = in.Scheduled + 1
	}
	v := s.dialect.Judge(in.Policy, in.DeliveryID, position, webhook.Reply{StatusCode: status})
	if in.Manual && v.Outcome == webhook.OutcomeRetryable {
		v.Status, v.Delay = webhook.StatusRetrying, 0
	}
	return &activities.AttemptResult{
		Status: v.Status, Delay: v.Delay, Host: s.host,
		Attempt: &webhook.AttemptSummary{
			Number: in.Number, Manual: in.Manual, StartedAt: now, DurationMS: 12, StatusCode: status,
			Outcome: v.Outcome, ErrorClass: v.ErrorClass, Error: v.Error,
		},
	}, nil
}

func (s *story) setStatus(_ context.Context, in activities.SetStatusInput) (*activities.SetStatusResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		if err := s.fault(s.inputs[in.DeliveryID].EndpointID); err != nil {
			return nil, err
		}
	}
	s.set = append(s.set, in)
	if in.UnlessQueued && s.adopted {
		return &activities.SetStatusResult{Status: webhook.StatusHeld, Queued: true}, nil
	}
	if in.Status == webhook.StatusHeld && s.disabled[s.inputs[in.DeliveryID].EndpointID] == "" {
		return &activities.SetStatusResult{Status: webhook.StatusRetrying}, nil
	}
	return &activities.SetStatusResult{
		Status: in.Status, Reason: in.Reason, Queued: s.queues && in.Status == webhook.StatusHeld,
	}, nil
}

func (s *story) setEnabled(_ context.Context, in activities.SetEnabledInput) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		if err := s.fault(in.EndpointID); err != nil {
			return err
		}
	}
	s.enabling = append(s.enabling, in)
	if in.Enabled {
		delete(s.disabled, in.EndpointID)
	} else {
		s.disabled[in.EndpointID] = in.Reason
	}
	return nil
}

func (s *story) disable(id webhook.EndpointID, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled[id] = reason
}

func (s *story) enable(id webhook.EndpointID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.disabled, id)
}

// at runs do after a time since the start.
func (s *story) at(after time.Duration, do func()) { s.env.RegisterDelayedCallback(do, after) }

func (s *story) signal(name string, endpoint webhook.EndpointID, informed bool) {
	s.env.SignalWorkflow(name, workflows.EndpointSignal{EndpointID: endpoint.String(), Reason: "because", Informed: informed})
}

// history asks the workflow for the first delivery.
func (s *story) history() webhook.DeliveryHistory {
	s.t.Helper()
	value, err := s.env.QueryWorkflow(workflows.QueryHistory)
	require.NoError(s.t, err)
	var h workflows.HistoryAnswer
	require.NoError(s.t, value.Get(&h))
	require.Equal(s.t, "evt_1", h.EventID)
	return h.Deliveries[0]
}

// times lists when an endpoint was attempted.
func (s *story) times(endpoint webhook.EndpointID) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []time.Duration
	for _, m := range s.made {
		if m.endpoint == endpoint {
			out = append(out, m.after)
			require.Equal(s.t, len(out), m.number, "attempts are numbered from 1")
		}
	}
	return out
}

// alwaysDown answers 503 to every attempt.
func alwaysDown(activities.AttemptInput) int { return down }

// failing answers 503 to the first n attempts, then 200.
func failing(n int) func(activities.AttemptInput) int {
	return func(in activities.AttemptInput) int {
		if in.Number <= n {
			return down
		}
		return ok
	}
}
