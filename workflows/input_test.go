package workflows_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
	"waybill/workflows"
)

// Whoever reaches Temporal can start a workflow. A forged input ends it at once, and sends nothing.
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
			in.Deliveries = slices.Repeat(in.Deliveries, workflows.MaxRecipients+1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, "rheo")
			in := s.event(1)
			in.Policies = slices.Clone(in.Policies)
			forge(in)
			s.env.ExecuteWorkflow(workflows.EventDeliveryType, in)
			require.True(t, s.env.IsWorkflowCompleted())
			var failed *temporal.ApplicationError
			require.ErrorAs(t, s.env.GetWorkflowError(), &failed)
			require.Equal(t, workflows.ErrorTypeInvalidInput, failed.Type())
			require.True(t, failed.NonRetryable())
			require.Empty(t, s.made)
		})
	}
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
