package activities_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

func TestActivities_Attempt_delivers(t *testing.T) {
	t.Parallel()
	for _, lane := range []activities.Lane{activities.LaneFast, activities.LaneIsolated} {
		t.Run(string(lane), func(t *testing.T) {
			t.Parallel()
			got := make(chan *http.Request, 1)
			body := make(chan string, 1)
			b := setup(t, func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				got <- r
				body <- string(text)
				w.Header().Set("Set-Cookie", "session="+headerText)
				_, _ = io.WriteString(w, "ok")
			})
			in := input()
			in.Lane = lane
			out, err := b.attempt(t, in)
			require.NoError(t, err)
			require.Equal(t, webhook.StatusDelivered, out.Status)
			require.Zero(t, out.Delay)
			require.Equal(t, 1, out.Attempt.Number)
			require.Equal(t, webhook.OutcomeDelivered, out.Attempt.Outcome)
			require.Equal(t, 200, out.Attempt.StatusCode)

			sent, want := <-got, fmt.Sprintf(`{"id":"%s","data":{}}`, deliveryID.UUID())
			require.Equal(t, want, <-body)
			mac := hmac.New(sha256.New, []byte(secretText))
			mac.Write([]byte(want))
			require.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), sent.Header.Get("X-Signature"))
			require.Equal(t, headerText, sent.Header.Get("X-Partner"))
			require.Equal(t, "Plain/1.0", sent.Header.Get("User-Agent"))
			require.Equal(t, deliveryID.UUID(), sent.Header.Get("X-Id"))

			r := b.store.recorded[0]
			require.Equal(t, "acme", r.TenantID)
			require.Equal(t, webhook.StatusDelivered, r.Status)
			require.False(t, r.Attempt.ID.IsZero())
			require.InDelta(t, r.Attempt.StartedAt.Unix(), unix(t, sent.Header.Get("X-Timestamp")), 5, "it was signed before")
			require.Equal(t, sent.Header.Get("X-Signature"), r.Attempt.RequestHeaders["X-Signature"])
			require.Equal(t, "[redacted]", r.Attempt.RequestHeaders["X-Partner"])
			require.Equal(t, "application/json", r.Attempt.RequestHeaders["Content-Type"])
			require.Equal(t, "[redacted]", r.Attempt.ResponseHeaders["Set-Cookie"])
			require.Equal(t, "ok", string(r.Attempt.ResponseBody))
		})
	}
}

// The log looks for an attempt in the month of its end. Its id says that month too where ids are ahead of the clock, which was set back.
func TestActivities_Attempt_ClockSetBack(t *testing.T) {
	t.Parallel()
	made := [16]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7a, 15: 0x5c}
	b := setup(t, func(http.ResponseWriter, *http.Request) {}, func(o *activities.Options) {
		o.NewUUID = func() [16]byte { return made }
	})
	_, err := b.attempt(t, input())
	require.NoError(t, err)
	r := b.store.recorded[0]
	require.Equal(t, r.At.UTC().Truncate(time.Millisecond), r.Attempt.ID.Time())
	require.Contains(t, r.Attempt.ID.UUID(), "-7a00-0000-00000000005c", "the rest, which makes it unlike any other, stays")
}

func unix(t *testing.T, text string) (seconds int64) {
	t.Helper()
	_, err := fmt.Sscan(text, &seconds)
	require.NoError(t, err)
	return seconds
}

func TestActivities_Attempt_judges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		receive http.HandlerFunc
		number  int
		status  webhook.Status
		outcome webhook.Outcome
		class   webhook.ErrorClass
		delay   time.Duration
	}{
		"a 500":                  {answer(500), 1, webhook.StatusRetrying, webhook.OutcomeRetryable, webhook.ErrorHTTPStatus, time.Minute},
		"the last attempt":       {answer(500), 2, webhook.StatusExhausted, webhook.OutcomeRetryable, webhook.ErrorHTTPStatus, 0},
		"a redirect":             {answer(302), 1, webhook.StatusRetrying, webhook.OutcomeRetryable, webhook.ErrorRedirect, time.Minute},
		"a 503 that names a day": {retryAfter(503, "86400"), 1, webhook.StatusRetrying, webhook.OutcomeRetryable, webhook.ErrorHTTPStatus, time.Hour},
		"a 500 that names a day": {retryAfter(500, "86400"), 1, webhook.StatusRetrying, webhook.OutcomeRetryable, webhook.ErrorHTTPStatus, time.Minute},
		"an answer that breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "part")
		}, 1, webhook.StatusRetrying, webhook.OutcomeRetryable, webhook.ErrorProtocol, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.receive)
			in := input()
			in.Number, in.Lane = c.number, activities.LaneIsolated
			out, err := b.attempt(t, in)
			require.NoError(t, err)
			require.Equal(t, c.status, out.Status)
			require.Equal(t, c.outcome, out.Attempt.Outcome)
			require.Equal(t, c.class, out.Attempt.ErrorClass)
			require.NotEmpty(t, out.Attempt.Error)
			r := b.store.recorded[0]
			require.Equal(t, c.status, r.Status)
			require.Equal(t, out.Attempt.Error, r.Attempt.Error)
			if c.delay == 0 {
				require.Nil(t, r.NextAttemptAt)
				require.Zero(t, out.Delay)
				return
			}
			require.Equal(t, c.delay, r.NextAttemptAt.Sub(r.At), "the delay counts from the end of the attempt")
			require.Equal(t, r.Attempt.DurationMS, r.At.Sub(r.Attempt.StartedAt).Milliseconds())
			require.LessOrEqual(t, out.Delay, c.delay)
			require.Greater(t, out.Delay, c.delay-bounded)
		})
	}
}

// A busy machine may send long after it signed. A receiver sees the whole delay between two requests all the same.
func TestActivities_Attempt_delayCountsFromTheRequest(t *testing.T) {
	t.Parallel()
	var arrived time.Time
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived = time.Now()
		w.WriteHeader(http.StatusServiceUnavailable)
	}, func(o *activities.Options) {
		o.Failpoint = func(name string) {
			if name == "before-post" {
				time.Sleep(50 * time.Millisecond)
			}
		}
	})
	_, err := b.attempt(t, input())
	require.NoError(t, err)
	r := b.store.recorded[0]
	require.False(t, r.NextAttemptAt.Before(arrived.Add(time.Minute)), "the next at %s, this at %s", r.NextAttemptAt, arrived)
	require.False(t, r.Attempt.StartedAt.After(arrived))
	require.Equal(t, r.Attempt.DurationMS, r.At.Sub(r.Attempt.StartedAt).Milliseconds())
}

func retryAfter(code int, value string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", value)
		w.WriteHeader(code)
	}
}

func TestActivities_Attempt_disablesWhatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(http.StatusGone))
	var tries atomic.Int64
	b.engine.onDisable = func() error {
		if tries.Add(1) == 1 {
			return errDown
		}
		return nil
	}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusExhausted, out.Status)
	require.Equal(t, webhook.OutcomeRejected, out.Attempt.Outcome)
	require.Equal(t, []string{"disable: the receiver answered 410 Gone", "disable: the receiver answered 410 Gone"}, b.engine.told,
		"a database that is away for a moment is waited for")
	require.Equal(t, b.store.sending.Endpoint.URL, b.engine.gone, "another URL is not gone")
}

func TestActivities_Attempt_goesOnWhenEnabledMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(204))
	disabledAt := time.Now()
	b.store.sending.Endpoint.DisabledAt = &disabledAt
	b.store.onHold = func() (*webhook.Delivery, error) {
		enabled := *b.store.sending.Endpoint
		enabled.DisabledAt = nil
		b.store.sending.Endpoint = &enabled
		return &b.store.sending.Delivery, nil
	}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
	require.Equal(t, 2, b.store.reads)

	b = setup(t, unreachable(t))
	b.store.sending.Endpoint.DisabledAt = &disabledAt
	b.store.onHold = func() (*webhook.Delivery, error) { return &b.store.sending.Delivery, nil }
	_, err = b.attempt(t, input())
	requireType(t, err, "unavailable", false)
}

func TestActivities_Attempt_respectsACancelation(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(500))
	b.store.onRecord = func(context.Context, *store.Record) (*webhook.Delivery, error) {
		return &webhook.Delivery{Status: webhook.StatusCanceled, Reason: "a person gave up"}, nil
	}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusCanceled, out.Status)
	require.Equal(t, "a person gave up", out.Reason)
	require.Equal(t, 500, out.Attempt.StatusCode)
	require.Zero(t, out.Delay)
}

func TestActivities_Attempt_recordsThroughAnOutage(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	b := setup(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	b.store.onRecord = func(_ context.Context, r *store.Record) (*webhook.Delivery, error) {
		if len(b.store.recorded) < 3 {
			return nil, errDown
		}
		return &webhook.Delivery{Status: r.Status}, nil
	}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
	require.EqualValues(t, 1, requests.Load())
	require.Equal(t, b.store.recorded[0], b.store.recorded[2], "each try writes the same")
}

// An attempt that has begun is finished and recorded, though its activity is canceled.
func TestActivities_Attempt_finishesWhenCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := setup(t, func(http.ResponseWriter, *http.Request) { cancel() })
	out, err := b.acts.Attempt(ctx, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
	require.Len(t, b.store.recorded, 1)

	_, err = b.acts.Attempt(ctx, input())
	require.ErrorIs(t, err, context.Canceled, "one that has not begun does not begin")
	require.Len(t, b.store.recorded, 1)
}

func TestActivities_Attempt_translatesFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(b *bundle)
		kind    string
		final   bool
	}{
		"the database is down": {func(b *bundle) {
			b.store.onSending = func() (*store.Sending, error) { return nil, errDown }
		}, "unavailable", false},
		"an unknown fault": {func(b *bundle) {
			b.store.onSending = func() (*store.Sending, error) { return nil, errors.New("pq: something") }
		}, "internal", false},
		"a request that makes no sense": {func(b *bundle) {
			b.store.onSending = func() (*store.Sending, error) { return nil, webhook.Errorf(webhook.CodeInvalid, "no") }
		}, "invalid", true},
		"a dialect that is not loaded": {func(b *bundle) {
			b.store.sending.Tenant = &webhook.Tenant{ID: "acme", Dialect: "other"}
		}, "internal", false},
		"the record of an earlier run is gone": {func(b *bundle) {
			b.store.sending.Delivery.Attempts = 1
			b.store.onRecorded = func(int) ([]webhook.AttemptSummary, error) { return nil, nil }
		}, "not_found", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, unreachable(t))
			c.prepare(b)
			in := input()
			in.Lane = activities.LaneIsolated
			_, err := b.attempt(t, in)
			requireType(t, err, c.kind, c.final)
			require.NotContains(t, err.Error(), "pq:")
			require.NotContains(t, err.Error(), "deadline", "the cause is for the log")
		})
	}
}

func requireType(t *testing.T, err error, kind string, final bool) {
	t.Helper()
	e := applicationError(t, err)
	require.Equal(t, kind, e.Type())
	require.Equal(t, final, e.NonRetryable())
}

func applicationError(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var e *temporal.ApplicationError
	require.ErrorAs(t, err, &e)
	return e
}
