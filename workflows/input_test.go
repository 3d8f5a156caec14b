package workflows_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"waybill/webhook"
	"waybill/workflows"
)

// Everybody who can reach Temporal can start a workflow. A forged input ends it at once, and sends nothing.
func TestEventDelivery_ForgedInput(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(in *workflows.EventDeliveryInput){
		"no tenant":           func(in *workflows.EventDeliveryInput) { in.Tenant = "" },
		"no policy":           func(in *workflows.EventDeliveryInput) { in.Policies = nil },
		"policy out of range": func(in *workflows.EventDeliveryInput) { in.Deliveries[0].Policy = 1 },
		"negative policy":     func(in *workflows.EventDeliveryInput) { in.Deliveries[0].Policy = -1 },
		"no delivery id":      func(in *workflows.EventDeliveryInput) { in.Deliveries[0].ID = webhook.DeliveryID{} },
		"no endpoint id":      func(in *workflows.EventDeliveryInput) { in.Deliveries[0].EndpointID = webhook.EndpointID{} },
		"unknown status":      func(in *workflows.EventDeliveryInput) { in.Deliveries[0].Status = "sent" },
		"negative hold":       func(in *workflows.EventDeliveryInput) { in.HoldFor = -1 },
		"one retry too many": func(in *workflows.EventDeliveryInput) {
			in.Policies[0].Schedule = make([]webhook.Duration, webhook.MaxRetries+1)
		},
		"negative delay": func(in *workflows.EventDeliveryInput) { in.Policies[0].Schedule = []webhook.Duration{-1} },
		"delay beyond the most": func(in *workflows.EventDeliveryInput) {
			in.Policies[0].Schedule = []webhook.Duration{webhook.Duration(webhook.MaxRetryDelay + 1)}
		},
		"one recipient too many": func(in *workflows.EventDeliveryInput) {
			in.Deliveries = slices.Repeat(in.Deliveries, webhook.MaxRecipients+1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo")
			in := s.event(1)
			in.Policies = slices.Clone(in.Policies)
			forge(in)
			s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
			requireForged(t, s)
		})
	}
}

func TestWorkflows_WithoutInput(t *testing.T) {
	t.Parallel()
	for _, name := range []string{workflows.EventDeliveryType, workflows.EndpointQueueType} {
		for args, started := range map[string][]any{"none": nil, "null": {nil}, "a text": {"x"}} {
			s := newStory(t, "rheo")
			s.env.ExecuteWorkflow(name, started...)
			require.True(t, s.env.IsWorkflowCompleted(), name, args)
			require.Error(t, s.env.GetWorkflowError())
			require.NotContains(t, s.env.GetWorkflowError().Error(), "nil pointer", "a panic occupies a worker for good")
		}
	}
}

// So does an input that is null, which no check of a member sees.
func TestWorkflows_NullInput(t *testing.T) {
	t.Parallel()
	for _, name := range []string{workflows.EventDeliveryType, workflows.EndpointQueueType} {
		s := newStory(t, "rheo")
		s.env.ExecuteWorkflow(name, nil)
		requireForged(t, s)
	}
}

func TestEndpointQueue_ForgedInput(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]workflows.EndpointQueueInput{
		"empty":       {},
		"no tenant":   {EndpointID: endpointID(1), Window: 1},
		"no endpoint": {Tenant: "acme", Window: 1},
		"negative":    {Tenant: "acme", EndpointID: endpointID(1), Window: -1},
		"too fast":    {Tenant: "acme", EndpointID: endpointID(1), Window: 10_001},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo") // which has no activity that drains
			s.env.ExecuteWorkflow(workflows.EndpointQueueType, &in)
			requireForged(t, s)
		})
	}
}

func requireForged(t *testing.T, s *story) {
	t.Helper()
	require.True(t, s.env.IsWorkflowCompleted())
	var failed *temporal.ApplicationError
	require.ErrorAs(t, s.env.GetWorkflowError(), &failed)
	require.Equal(t, workflows.ErrorTypeInvalidInput, failed.Type())
	require.True(t, failed.NonRetryable())
	require.Empty(t, s.made)
}

// What a forged start brings along is shown by terminals too.
func TestEventDelivery_ForgedTexts(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	in := s.event(1)
	const evil = "a\x1b[31m\u009b2J\u202eb\n"
	d := &in.Deliveries[0]
	d.Status, d.Host, d.Reason, d.NextAttemptAt = webhook.StatusHeld, evil, evil, began.Add(time.Hour)
	d.Attempts = []webhook.AttemptSummary{{Number: 1, Error: evil}}
	s.at(time.Minute, func() {
		value, err := s.env.QueryWorkflow(workflows.QueryStatus)
		require.NoError(t, err)
		var lines []string
		require.NoError(t, value.Get(&lines))
		h := s.history()
		for _, text := range []string{s.details(), lines[0], h.Reason, h.Attempts[0].Error} {
			require.Contains(t, text, "[31m")
			require.NotContains(t, text, "\x1b")
			require.NotContains(t, text, "\u009b")
			require.NotContains(t, text, "\u202e")
		}
	})
	s.deliver(in)
}

func TestEventDelivery_LargestPolicy(t *testing.T) {
	t.Parallel()
	s := newStory(t, "rheo")
	s.answer = alwaysDown
	in := s.event(1)
	in.Policies = []webhook.RetryPolicy{{Schedule: slices.Repeat([]webhook.Duration{webhook.Duration(webhook.MaxRetryDelay)}, webhook.MaxRetries)}}
	require.Equal(t, workflows.EventDeliveryResult{Exhausted: 1}, s.deliver(in))
	require.Equal(t, time.Duration(webhook.MaxRetries)*webhook.MaxRetryDelay, s.env.Now().Sub(began))
}

// The most that a run can hand to the next fits into an input: all deliveries of a workflow, each with every attempt that its
// policy and people may make, every error as long as an error can be. The query's answer takes as much.
func TestEventDelivery_LargestAnswers(t *testing.T) {
	t.Parallel()
	const made = webhook.MaxRetries + workflows.MaxManualAttempts
	for name, test := range map[string]struct {
		attempts int
		text     string
	}{
		"plain":             {made, "e"},
		"escaped":           {made, "<"},
		"just few, escaped": {8, "<"}, // which would fit without the escapes
		"line separators":   {8, "\u2028"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			largestAnswers(t, test.attempts, strings.Repeat(test.text, 450/len(test.text)))
		})
	}
}

func largestAnswers(t *testing.T, made int, text string) {
	t.Helper()
	s := newStory(t, "standard")
	s.env.SetContinueAsNewSuggested(true)
	in := s.event(workflows.MaxDeliveries)
	schedule := make([]webhook.Duration, webhook.MaxRetries)
	for i := range schedule {
		schedule[i] = webhook.Duration(webhook.MaxRetryDelay - time.Second)
	}
	in.Policies = slices.Repeat([]webhook.RetryPolicy{{Schedule: schedule, Jitter: 0.123}}, workflows.MaxDeliveries)
	for i := range in.Deliveries {
		d := &in.Deliveries[i]
		d.Status, d.Reason, d.Policy = webhook.StatusRetrying, strings.Repeat("r", 500), i
		d.Host, d.NextAttemptAt = strings.Repeat("h", 261), began.Add(24*time.Hour)
		for n := range made {
			d.Attempts = append(d.Attempts, webhook.AttemptSummary{
				Number: n + 1, StartedAt: began.Add(123456 * time.Microsecond), DurationMS: 59_999, StatusCode: 503, Manual: n >= webhook.MaxRetries,
				Outcome: webhook.OutcomeRetryable, ErrorClass: webhook.ErrorHTTPStatus, Error: text,
			})
		}
	}
	s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
	var next *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &next)
	require.Less(t, proto.Size(next.Input), 2<<20)
	value, err := s.env.QueryWorkflow(workflows.QueryHistory)
	require.NoError(t, err)
	var answer workflows.HistoryAnswer
	require.NoError(t, value.Get(&answer))
	encoded, err := json.Marshal(answer)
	require.NoError(t, err)
	require.Less(t, len(encoded), 2<<20)
	attempts := answer.Deliveries[0].Attempts
	last := attempts[len(attempts)-1]
	require.Equal(t, made, last.Number, "the latest are kept")
	require.NotEmpty(t, last.Error)
}
