package workflows_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"waybill/activities"
	"waybill/workflows"
)

// noticeStory is one EndpointNotices on virtual time, with a database and a mail server that the test plays.
type noticeStory struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment

	mu       sync.Mutex
	gathered int64
	lastMail time.Time
	// told is what each mail counted, and at when each was sent, since the start.
	told []int64
	at   []time.Duration
	// looks is when the activity ran, and gaveUp when it was to give up.
	looks  []time.Duration
	gaveUp []time.Duration
	// fault fails a look, and refused says what the server refuses.
	fault   func() error
	refused func() string
}

func newNoticeStory(t *testing.T) *noticeStory {
	t.Helper()
	s := &noticeStory{t: t, env: newEnvironment()}
	var n *activities.Notices
	activities.RegisterNotices(s.env, n)
	s.env.OnActivity(n.SendNotice, mock.Anything, mock.Anything).Return(s.send).Maybe()
	return s
}

// send plays the activity: at most one mail an hour.
func (s *noticeStory) send(_ context.Context, in activities.NoticeInput) (*activities.NoticeResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Equal(s.t, "acme", in.Tenant)
	require.Equal(s.t, endpointID(1), in.EndpointID)
	now := s.env.Now()
	s.looks = append(s.looks, now.Sub(began))
	out := &activities.NoticeResult{Exhausted: s.gathered, Host: "hooks.example.com"}
	if s.fault != nil {
		if err := s.fault(); err != nil {
			return nil, err
		}
	}
	switch {
	case in.GiveUp:
		s.gaveUp = append(s.gaveUp, now.Sub(began))
		s.gathered, out.Exhausted = 0, 0
	case s.gathered == 0:
	case !s.lastMail.IsZero() && now.Sub(s.lastMail) < time.Hour:
		out.Wait = s.lastMail.Add(time.Hour).Sub(now)
	case s.refused != nil && s.refused() != "":
		out.Refused = s.refused()
	default:
		out.Sent, s.lastMail = activities.MailTrouble, now
		s.told, s.at, s.gathered = append(s.told, s.gathered), append(s.at, now.Sub(began)), 0
	}
	return out, nil
}

// fails adds an exhausted delivery after a time since the start, and wakes the workflow as the upkeep does.
func (s *noticeStory) fails(after time.Duration) {
	s.env.RegisterDelayedCallback(func() {
		s.mu.Lock()
		s.gathered++
		s.mu.Unlock()
		s.env.SignalWorkflow(workflows.SignalWake, nil)
	}, after)
}

func (s *noticeStory) run() (*workflows.EndpointNoticesResult, error) {
	s.t.Helper()
	s.env.ExecuteWorkflow(workflows.EndpointNoticesType, &workflows.EndpointNoticesInput{Tenant: "acme", EndpointID: endpointID(1)})
	require.True(s.t, s.env.IsWorkflowCompleted())
	if err := s.env.GetWorkflowError(); err != nil {
		return nil, err
	}
	out := new(workflows.EndpointNoticesResult)
	require.NoError(s.t, s.env.GetWorkflowResult(out))
	return out, nil
}

func (s *noticeStory) details() string {
	s.t.Helper()
	value, err := s.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(s.t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(s.t, value.Get(&metadata))
	require.Equal(s.t, workflows.SignalWake, metadata.GetDefinition().GetSignalDefinitions()[0].GetName())
	return metadata.GetCurrentDetails()
}

// shows expects a text in Current Details after a time since the start.
func (s *noticeStory) shows(after time.Duration, text string) {
	s.env.RegisterDelayedCallback(func() { require.Contains(s.t, s.details(), text) }, after)
}

// What fails within the first seconds is one mail, and the workflow ends when nothing is left to tell.
func TestEndpointNotices_Gathers(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	for _, after := range []time.Duration{0, time.Second, 9 * time.Second} {
		s.fails(after)
	}
	out, err := s.run()
	require.NoError(t, err)
	require.Equal(t, 1, out.Mails)
	require.Equal(t, []int64{3}, s.told)
	require.Equal(t, []time.Duration{10 * time.Second}, s.at)
}

// However often it fails within the hour, the next mail comes after it and counts everything.
func TestEndpointNotices_OneAnHour(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	s.gathered = 1
	s.lastMail = began.Add(-time.Minute) // by the run before
	for n := range 50 {
		s.fails(time.Duration(n) * time.Minute)
	}
	s.fails(59*time.Minute - time.Second)
	s.shows(time.Second, endpointID(1).String()+": gathering what there is to tell; the next look is at 2026-05-27T14:32:10Z.")
	s.shows(30*time.Minute+time.Second, "`hooks.example.com` ("+endpointID(1).String()+"): gathered since the last mail: exhausted deliveries: 32; the next look is at 2026-05-27T15:31:00Z.")
	out, err := s.run()
	require.NoError(t, err)
	require.Equal(t, 1, out.Mails)
	require.Equal(t, []int64{52}, s.told)
	require.Equal(t, []time.Duration{59 * time.Minute}, s.at)
}

// A mail server that is down for three days delays the mail and loses nothing.
func TestEndpointNotices_ServerDown(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	s.gathered = 2
	s.fault = func() error {
		if s.env.Now().Sub(began) < 72*time.Hour {
			return temporal.NewApplicationError("the mail server cannot be reached", "unavailable")
		}
		return nil
	}
	out, err := s.run()
	require.NoError(t, err)
	require.Equal(t, 1, out.Mails)
	require.Equal(t, []int64{2}, s.told)
	require.Less(t, s.at[0], 72*time.Hour+10*time.Minute, "at most the longest pause between two tries later")
}

// A fault that is not tried again by the activity ends nothing.
func TestEndpointNotices_Fault(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	s.gathered = 1
	s.fault = func() error {
		if len(s.looks) < 3 {
			return temporal.NewNonRetryableApplicationError("x", "invalid", nil)
		}
		return nil
	}
	out, err := s.run()
	require.NoError(t, err)
	require.Equal(t, 1, out.Mails)
	require.Equal(t, 10*time.Second+2*time.Minute, s.at[0])
}

// An address that the mail server refuses is tried for three days, an hour apart whatever wakes, and then given up.
func TestEndpointNotices_Refused(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	s.gathered = 1
	s.refused = func() string { return "the mail server refuses the mail with 550" }
	for n := range 20 {
		s.fails(time.Duration(n) * 10 * time.Minute)
	}
	s.shows(time.Minute, "the mail server refuses the mail with 550, for exhausted deliveries: 2; it is given up at 2026-05-30T14:32:10Z. Correct contact_email of the tenant; the next look is at 2026-05-27T15:32:10Z.")
	out, err := s.run()
	require.NoError(t, err)
	require.Zero(t, out.Mails)
	require.True(t, out.GivenUp)
	require.Empty(t, s.told)
	require.Equal(t, []time.Duration{72*time.Hour + 10*time.Second}, s.gaveUp)
	require.Len(t, s.looks, 73)
}

// An address that is corrected meanwhile gets the mail.
func TestEndpointNotices_RefusedForAWhile(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	s.gathered = 1
	s.refused = func() string {
		if s.env.Now().Sub(began) < 5*time.Hour {
			return "the mail server refuses the mail with 550"
		}
		return ""
	}
	out, err := s.run()
	require.NoError(t, err)
	require.False(t, out.GivenUp)
	require.Equal(t, 1, out.Mails)
	require.Equal(t, []time.Duration{5*time.Hour + 10*time.Second}, s.at)
}

// A wake that comes while a mail is under way may tell of something that the mail did not.
func TestEndpointNotices_WokenDuringAMail(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	s.gathered = 1
	s.fault = func() error {
		if len(s.looks) == 1 {
			s.env.SignalWorkflow(workflows.SignalWake, map[string]string{"people": "send what they like"})
		}
		return nil
	}
	_, err := s.run()
	require.NoError(t, err)
	require.Len(t, s.looks, 2)
}

func TestEndpointNotices_Input(t *testing.T) {
	t.Parallel()
	for _, in := range []any{nil, &workflows.EndpointNoticesInput{Tenant: "acme"}, &workflows.EndpointNoticesInput{EndpointID: endpointID(1)}} {
		s := newNoticeStory(t)
		s.env.ExecuteWorkflow(workflows.EndpointNoticesType, in)
		var failed *temporal.ApplicationError
		require.ErrorAs(t, s.env.GetWorkflowError(), &failed)
		require.Equal(t, workflows.ErrorTypeInvalidInput, failed.Type())
		require.Empty(t, s.looks)
	}
}

func TestEndpointNotices_Canceled(t *testing.T) {
	t.Parallel()
	s := newNoticeStory(t)
	s.gathered, s.lastMail = 1, began
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Minute)
	_, err := s.run()
	require.Error(t, err)
	require.True(t, temporal.IsCanceledError(errors.Unwrap(err)) || temporal.IsCanceledError(err))
	require.Empty(t, s.told)
}
