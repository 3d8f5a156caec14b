package workflows_test

import (
	"context"
	"encoding/binary"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
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
	// refuse answers for the fast lane when it does not attempt.
	refuse func() (*activities.AttemptResult, error)
	// before runs at the beginning of each attempt.
	before   func(in activities.AttemptInput)
	disabled map[webhook.EndpointID]string
	canceled map[webhook.DeliveryID]string
	made     []made
	marks    []activities.MarkInput
	switches []activities.SwitchInput
	inputs   map[webhook.DeliveryID]activities.AttemptInput
}

func loadDialect(t *testing.T, name string) *webhook.Dialect {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), name+".json")
	require.NoError(t, err)
	d, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	return d
}

func newStory(t *testing.T, dialect string) *story {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	s := &story{
		t: t, env: suite.NewTestWorkflowEnvironment(), dialect: loadDialect(t, dialect),
		disabled: map[webhook.EndpointID]string{}, canceled: map[webhook.DeliveryID]string{},
		inputs: map[webhook.DeliveryID]activities.AttemptInput{},
	}
	s.env.SetStartTime(began)
	s.env.SetTestTimeout(30 * time.Second)
	s.env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: 20 * time.Second}) // the race detector is slow
	workflows.Register(s.env)
	var a *activities.Activities
	s.env.RegisterActivity(a.Attempt)
	s.env.RegisterActivity(a.Mark)
	s.env.RegisterActivity(a.Switch)
	s.env.OnActivity(a.Attempt, mock.Anything, mock.Anything).Return(s.attempt).Maybe()
	s.env.OnActivity(a.Mark, mock.Anything, mock.Anything).Return(s.mark).Maybe()
	s.env.OnActivity(a.Switch, mock.Anything, mock.Anything).Return(s.switched).Maybe()
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

// deliver runs the workflow to its end and returns its result.
func (s *story) deliver(in *workflows.EventDeliveryInput) workflows.EventDeliveryResult {
	s.t.Helper()
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
	require.True(s.t, s.env.IsWorkflowCompleted())
	require.NoError(s.t, s.env.GetWorkflowError())
	var result workflows.EventDeliveryResult
	require.NoError(s.t, s.env.GetWorkflowResult(&result))
	return result
}

// attempt plays the activity: the database's word first, then the receiver's, judged as the real one judges.
func (s *story) attempt(_ context.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
	if s.before != nil {
		s.before(in)
	}
	if s.refuse != nil && in.Lane == activities.LaneFast {
		return s.refuse()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inputs[in.DeliveryID] = in
	if reason, is := s.canceled[in.DeliveryID]; is {
		return &activities.AttemptResult{Status: webhook.StatusCanceled, Reason: reason}, nil
	}
	if reason, is := s.disabled[in.EndpointID]; is {
		return &activities.AttemptResult{Status: webhook.StatusHeld, Reason: reason}, nil
	}
	status := ok
	if s.answer != nil {
		status = s.answer(in)
	}
	now := s.env.Now()
	s.made = append(s.made, made{in.EndpointID, in.Number, in.Lane, now.Sub(began)})
	v := s.dialect.Judge(in.Policy, in.DeliveryID, in.Number, webhook.Reply{StatusCode: status})
	return &activities.AttemptResult{
		Status: v.Status, Delay: v.Delay,
		Attempt: &webhook.AttemptSummary{
			Number: in.Number, StartedAt: now, DurationMS: 12, StatusCode: status,
			Outcome: v.Outcome, ErrorClass: v.ErrorClass, Error: v.Error,
		},
	}, nil
}

func (s *story) mark(_ context.Context, in activities.MarkInput) (*activities.MarkResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = append(s.marks, in)
	if in.Status == webhook.StatusHeld && s.disabled[s.inputs[in.DeliveryID].EndpointID] == "" {
		return &activities.MarkResult{Status: webhook.StatusRetrying}, nil
	}
	return &activities.MarkResult{Status: in.Status, Reason: in.Reason}, nil
}

func (s *story) switched(_ context.Context, in activities.SwitchInput) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switches = append(s.switches, in)
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
