package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// updated is what became of an update.
type updated struct {
	accepted bool
	done     bool
	answer   *workflows.UpdateAnswer
	err      error
}

func (u *updated) Accept()          { u.accepted = true }
func (u *updated) Reject(err error) { u.done, u.err = true, err }
func (u *updated) Complete(answer any, err error) {
	u.done, u.err = true, err
	u.answer, _ = answer.(*workflows.UpdateAnswer)
}

// update sends an update; what becomes of it is known at a later moment of the story.
func (s *story) update(name, endpoint string) *updated {
	return s.updateWith(name, workflows.EndpointSignal{EndpointID: endpoint, Reason: "because"})
}

func (s *story) updateWith(name string, input any) *updated {
	u := &updated{}
	s.updates++
	s.env.UpdateWorkflow(name, string(rune('a'+s.updates)), u, input)
	return u
}

func requireRefused(t *testing.T, u *updated, code webhook.Code, text string) {
	t.Helper()
	require.True(t, u.done)
	require.False(t, u.accepted, "a refused update leaves no trace in the history")
	var refused *temporal.ApplicationError
	require.ErrorAs(t, u.err, &refused)
	require.Equal(t, string(code), refused.Type())
	require.Contains(t, refused.Message(), text)
}

func TestEventDelivery_Updates(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(2)
	var retried, disabled, held, canceled, settled, enabled *updated
	s.at(10*time.Second, func() { retried = s.update(workflows.SignalRetryNow, endpointID(1).String()) })
	s.at(11*time.Second, func() {
		require.NoError(t, retried.err)
		next := began.Add(time.Minute)
		require.Equal(t, []workflows.DeliveryNow{{
			ID: deliveryID(1), EndpointID: endpointID(1), Status: webhook.StatusRetrying, Attempts: 2, NextAttemptAt: &next,
		}}, retried.answer.Deliveries)
		disabled = s.update(workflows.SignalDisableEndpoint, endpointID(2).String())
	})
	s.at(12*time.Second, func() {
		require.NoError(t, disabled.err)
		require.Equal(t, webhook.StatusHeld, disabled.answer.Deliveries[0].Status)
		require.Len(t, s.enabling, 1, "for every event")
		held = s.update(workflows.SignalRetryNow, endpointID(2).String())
		canceled = s.update(workflows.SignalCancelDelivery, endpointID(3).String())
	})
	s.at(13*time.Second, func() {
		require.NoError(t, canceled.err)
		require.Equal(t, webhook.StatusCanceled, canceled.answer.Deliveries[0].Status)
		require.Equal(t, "because", canceled.answer.Deliveries[0].Reason)
		requireRefused(t, held, webhook.CodeConflict, "the endpoint is disabled; enable it")
		settled = s.update(workflows.SignalRetryNow, endpointID(3).String())
		enabled = s.update(workflows.SignalEnableEndpoint, endpointID(2).String())
	})
	s.at(14*time.Second, func() {
		requireRefused(t, settled, webhook.CodeConflict, "is canceled")
		require.NoError(t, enabled.err)
		require.Equal(t, 2, enabled.answer.Deliveries[0].Attempts, "goes on at once")
	})
	require.Equal(t, workflows.EventDeliveryResult{Delivered: 2, Canceled: 1}, s.deliver(s.event(3)))
}

func TestEventDelivery_UpdatesRefused(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	var unknown *updated
	var invalid []*updated
	s.at(time.Second, func() {
		unknown = s.update(workflows.SignalCancelDelivery, endpointID(9).String())
		for _, input := range notSignals() {
			invalid = append(invalid, s.updateWith(workflows.SignalCancelDelivery, input))
		}
	})
	s.at(2*time.Second, func() {
		requireRefused(t, unknown, webhook.CodeNotFound, "no delivery to ep_")
		for _, u := range invalid {
			requireRefused(t, u, webhook.CodeInvalid, "")
		}
		require.Equal(t, webhook.StatusRetrying, s.history().Status)
	})
	s.deliver(s.event(1))
	require.Empty(t, s.set)
}

// A person reads why an update is refused, and does not know the types of the code.
func TestEventDelivery_UpdateSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	for input, text := range map[string]string{
		`{"endpoint": "ep_x"}`:      `the input has an unknown field "endpoint"; known are "endpoint_id" and "reason"`,
		`{"endpoint_id": ["ep_x"]}`: "the input's endpoint_id must not be a JSON array",
		`{"endpoint_id": `:          "the input is not JSON",
	} {
		s.at(time.Second, func() {
			u := s.updateWith(workflows.SignalCancelDelivery, converter.NewRawValue(&commonpb.Payload{
				Metadata: map[string][]byte{converter.MetadataEncoding: []byte(converter.MetadataEncodingJSON)}, Data: []byte(input),
			}))
			s.at(2*time.Second, func() { requireRefused(t, u, webhook.CodeInvalid, text) })
		})
	}
	s.deliver(s.event(1))
}

func TestEventDelivery_UpdateOfASettledDelivery(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = func(in activities.AttemptInput) int {
		if in.EndpointID == endpointID(1) {
			return ok
		}
		return failing(1)(in)
	}
	var u *updated
	s.at(time.Second, func() { u = s.update(workflows.SignalRetryNow, endpointID(1).String()) })
	s.at(2*time.Second, func() { requireRefused(t, u, webhook.CodeConflict, "is delivered already") })
	s.at(2*time.Second, func() { requireRefused(t, u, webhook.CodeConflict, "to send it again") })
	s.deliver(s.event(2))
}

// An update is answered before the workflow ends or goes on in a new run.
func TestEventDelivery_UpdateDuringTheLastAttempt(t *testing.T) {
	t.Parallel()
	s := newStory(t, "auction-excellence")
	s.answer = failing(1)
	var u *updated
	s.at(time.Minute, func() { u = s.update(workflows.SignalCancelDelivery, workflows.AllEndpoints) })
	s.deliver(s.event(1))
	require.True(t, u.done)
}
