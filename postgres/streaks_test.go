package postgres_test

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// operational returns the data of the operational events of a type, in the order of their publication.
func (b *bundle) operational(eventType string) []map[string]any {
	b.t.Helper()
	var texts []string
	require.NoError(b.t, b.db.Select(&texts, `SELECT data::text FROM outbox WHERE tenant_id = 'ops' AND event_type = $1 ORDER BY position`, eventType))
	out := make([]map[string]any, len(texts))
	for i, text := range texts {
		require.NoError(b.t, json.Unmarshal([]byte(text), &out[i]))
	}
	return out
}

func tellingOps(o *postgres.Options) { o.OperatorTenant = "ops" }

func TestDisableFailing(t *testing.T) {
	t.Parallel()
	b := setup(t, tellingOps)
	b.tenant("acme")
	e := b.endpoint("acme")
	disable := func(rule *webhook.AutoDisable) (*webhook.Endpoint, bool) {
		got, changed, err := b.DisableFailing(t.Context(), "acme", e.ID, rule, now())
		require.NoError(t, err)
		return got, changed
	}
	_, changed := disable(tenInARow)
	require.False(t, changed, "it never failed")
	failures := b.attempts(e, now().Add(-time.Hour), "---------")
	postgres.RecordRun(t, b.Store, failures)
	_, changed = disable(tenInARow)
	require.False(t, changed, "nine")
	postgres.RecordRun(t, b.Store, b.attempts(e, now(), "-"))
	for _, rule := range []*webhook.AutoDisable{nil, {Off: true}, {Failures: 10, Span: webhook.Duration(2 * time.Hour)}} {
		_, changed = disable(rule)
		require.False(t, changed)
	}
	got, changed := disable(tenInARow)
	require.True(t, changed)
	require.NotNil(t, got.DisabledAt)
	require.Equal(t, webhook.ByFailures, got.DisabledBy)
	since := failures[0].At.Format(time.RFC3339)
	require.Equal(t, "10 attempts in a row failed since "+since, got.DisabledReason)
	again, changed := disable(tenInARow)
	require.False(t, changed)
	require.Equal(t, got.DisabledAt, again.DisabledAt)
	require.Equal(t, []map[string]any{{
		"tenant": "acme", "endpoint_id": e.ID.String(), "host": "receiver.example", "by": "failures", "reason": got.DisabledReason,
		"failures": 10.0, "since": since,
	}}, b.operational("endpoint.disabled"))
	notice, err := b.Notice(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.True(t, notice.Due)
	require.Equal(t, got.DisabledAt, notice.DisabledAt)
	require.Equal(t, got.DisabledReason, notice.DisabledReason)
	due, err := b.QueuesToWake(t.Context(), webhook.EndpointID{}, 10)
	require.NoError(t, err)
	require.Equal(t, []store.EndpointRef{{TenantID: "acme", ID: e.ID}}, due)

	on := b.enable(e.ID)
	require.Zero(t, on.Streak.Failures, "a person's enable begins anew")
	require.Equal(t, []map[string]any{{"tenant": "acme", "endpoint_id": e.ID.String(), "host": "receiver.example", "by": "a person"}}, b.operational("endpoint.enabled"))
	_, changed = disable(tenInARow)
	require.False(t, changed)
	_, _, err = b.DisableFailing(t.Context(), "other", e.ID, tenInARow, now())
	requireCode(t, webhook.CodeNotFound, err)
}

// The last failure, a success and a person's enable that meet: the endpoint is disabled at most once for each time that the streak
// was full, and each transition is told once.
func TestDisableFailing_meetsSuccessAndEnable(t *testing.T) {
	t.Parallel()
	b := setup(t, tellingOps)
	b.tenant("acme")
	e := b.endpoint("acme")
	elsewhere := postgrestest.Open(t, b.opts)
	rule := &webhook.AutoDisable{Failures: 3}
	var disabled, enabled atomic.Int64
	for range 25 {
		records := b.attempts(e, now(), "----+-")
		var wg sync.WaitGroup
		for i, r := range records {
			r.AutoDisable = rule
			s := []*postgres.Store{b.Store, elsewhere}[i%2]
			wg.Go(func() {
				out, err := s.RecordAttempt(t.Context(), r)
				if err != nil {
					t.Error(err)
					return
				}
				if !rule.Reached(out.Streak) {
					return
				}
				_, changed, err := s.DisableFailing(t.Context(), "acme", e.ID, rule, now())
				if err != nil {
					t.Error(err)
				}
				if changed {
					disabled.Add(1)
				}
			})
		}
		wg.Go(func() {
			_, changed, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{By: "a person", At: now()})
			if err != nil {
				t.Error(err)
			}
			if changed {
				enabled.Add(1)
			}
		})
		wg.Wait()
	}
	found, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	off := int64(0)
	if found.DisabledAt != nil {
		off = 1
	}
	require.Positive(t, disabled.Load())
	require.Equal(t, disabled.Load(), enabled.Load()+off, "each disabling but the present one was followed by one enabling")
	require.Len(t, b.operational("endpoint.disabled"), int(disabled.Load()))
	require.Len(t, b.operational("endpoint.enabled"), int(enabled.Load()))
	for _, data := range b.operational("endpoint.disabled") {
		require.GreaterOrEqual(t, data["failures"], 3.0)
	}
}

func TestFailingEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	old := now().Add(-2 * time.Hour)
	var want []webhook.EndpointID
	span := &webhook.AutoDisable{Failures: 2, Span: webhook.Duration(time.Minute)}
	for _, c := range []struct {
		outcomes string
		at       time.Time
		rule     *webhook.AutoDisable
		off      bool
		want     bool
	}{
		{"--", old, &webhook.AutoDisable{Failures: 2, Span: webhook.Duration(time.Second)}, false, true},
		{"---", old, &webhook.AutoDisable{Failures: 2}, false, true},
		{"-", old, &webhook.AutoDisable{Failures: 2}, false, false},
		{"--+", old, &webhook.AutoDisable{Failures: 2}, false, false},
		{"--", now(), &webhook.AutoDisable{Failures: 2}, false, false},
		{"--", old, span, false, false},
		{"--", old, nil, false, false},
		{"--", old, &webhook.AutoDisable{Failures: 2}, true, false},
	} {
		e := b.endpoint("acme")
		records := b.attempts(e, c.at, c.outcomes)
		for _, r := range records {
			r.AutoDisable = c.rule
		}
		postgres.RecordRun(t, b.Store, records)
		if c.off {
			b.disable(e.ID, "x")
		}
		if c.want {
			want = append(want, e.ID)
		}
	}
	first, err := b.FailingEndpoints(t.Context(), time.Hour, webhook.EndpointID{}, 1)
	require.NoError(t, err)
	require.Equal(t, []store.FailingEndpoint{{
		EndpointRef: store.EndpointRef{TenantID: "acme", ID: want[0]}, Rule: webhook.AutoDisable{Failures: 2, Span: webhook.Duration(time.Second)},
	}}, first)
	rest, err := b.FailingEndpoints(t.Context(), time.Hour, want[0], 10)
	require.NoError(t, err)
	require.Len(t, rest, 1)
	require.Equal(t, want[1], rest[0].ID)
	_, changed, err := b.DisableFailing(t.Context(), "acme", first[0].ID, &first[0].Rule, now())
	require.NoError(t, err)
	require.True(t, changed)
}

func TestRecordAttempt_tellsTheOperator(t *testing.T) {
	t.Parallel()
	b := setup(t, tellingOps)
	b.tenant("acme")
	b.tenant("ops")
	e := b.endpoint("acme", func(e *webhook.Endpoint) { e.URL = "https://receiver.example:8443/secret/path?token=1" })
	own := b.endpoint("ops")
	at := now().Add(-time.Minute)
	postgres.RecordRun(t, b.Store, b.attempts(e, at, "----"))
	require.Empty(t, b.operational("endpoint.failing"))
	records := b.attempts(e, at.Add(10*time.Second), "-x")
	records[1].Attempt.Error = `it said "no"`
	got := postgres.RecordRun(t, b.Store, records)
	postgres.RecordRun(t, b.Store, b.attempts(e, at.Add(20*time.Second), "-"))
	require.Equal(t, []map[string]any{{
		"tenant": "acme", "endpoint_id": e.ID.String(), "host": "receiver.example:8443", "failures": 6.0, "since": at.Format("2006-01-02T15:04:05Z"),
		"disables_at": 10.0, "last_error": `it said "no"`,
	}}, b.operational("endpoint.failing"), "once, at half of ten")
	require.Equal(t, []map[string]any{{
		"tenant": "acme", "endpoint_id": e.ID.String(), "delivery_id": got[1].ID.String(), "event_id": got[1].EventID, "event_type": "order.confirmed",
		"attempts": 1.0, "status_code": 500.0, "error_class": "http_status", "error": `it said "no"`,
	}}, b.operational("delivery.exhausted"))

	b.exec(`DELETE FROM outbox`)
	postgres.RecordRun(t, b.Store, b.attempts(own, at, "xxxxxxxxxx"))
	_, changed, err := b.DisableFailing(t.Context(), "ops", own.ID, tenInARow, now())
	require.NoError(t, err)
	require.True(t, changed)
	require.Zero(t, b.count(`SELECT count(*) FROM outbox`), "nobody is told of the operator's own endpoints")
}
