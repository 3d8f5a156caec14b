package webhook_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// delays returns every delay of a policy that fails to the end.
func delays(p webhook.RetryPolicy) []string {
	var out []string
	for n := 1; ; n++ {
		d, ok := p.Delay(n, "dlv_1", 0)
		if !ok {
			return out
		}
		out = append(out, webhook.Duration(d).String())
	}
}

func TestRetryPolicy_Delays(t *testing.T) {
	t.Parallel()
	exponential := func(first time.Duration, factor float64, retries int, limit time.Duration) webhook.RetryPolicy {
		return webhook.RetryPolicy{Exponential: &webhook.Exponential{
			First: webhook.Duration(first), Factor: factor, Retries: retries, Cap: webhook.Duration(limit),
		}}
	}
	for _, tc := range []struct {
		name   string
		policy webhook.RetryPolicy
		want   string
	}{
		{"exponential-5", webhook.RetryPolicy{Policy: "exponential-5"}, "1s 2s 4s 8s 16s"},
		{"table-5", webhook.RetryPolicy{Policy: "table-5"}, "1m 5m 30m 2h 12h"},
		{"explicit, and stored before the least delay was 1 s", webhook.RetryPolicy{Schedule: []webhook.Duration{0, 5e8, 1e9}}, "0s 500ms 1s"},
		{"explicit, none", webhook.RetryPolicy{Schedule: []webhook.Duration{}}, ""},
		{"exponential", exponential(time.Second, 2, 5, 0), "1s 2s 4s 8s 16s"},
		{"5 attempts is one number away", exponential(time.Second, 2, 4, 0), "1s 2s 4s 8s"},
		{"capped", exponential(time.Second, 2, 6, 5*time.Second), "1s 2s 4s 5s 5s 5s"},
		{"first above the cap", exponential(time.Minute, 2, 2, time.Second), "1s 1s"},
		{"fractional factor", exponential(time.Second, 1.5, 4, 0), "1s 1.5s 2.25s 3.375s"},
		{"level", exponential(time.Second, 1, 3, 0), "1s 1s 1s"},
		{"never above a week", exponential(100*time.Hour, 10, 3, 0), "100h 168h 168h"},
		{"no retry", exponential(time.Second, 2, 0, 0), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			resolved := tc.policy.Resolve()
			require.Equal(t, tc.want, strings.Join(delays(resolved), " "))
			require.Empty(t, resolved.Policy)
			require.Nil(t, resolved.Exponential)
			require.Equal(t, resolved, resolved.Resolve(), "resolving twice changes nothing")
		})
	}
}

func TestRetryPolicy_OfDialects(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"standard":           "5s 5m 30m 2h 5h 10h 10h",
		"rheo":               "1s 2s 4s 8s 16s",
		"tradly":             "1s 2s 4s 8s 16s",
		"tradevine":          "10s 1m 5m 30m 2h 12h",
		"auction-excellence": "1m 5m 30m 2h 12h",
	} {
		p := dialect(t, name).Retry.Resolve()
		if name == "standard" {
			require.Equal(t, 0.1, p.Jitter)
			require.Equal(t, time.Hour, p.RetryAfterMax.Std())
			p.Jitter = 0
		}
		require.Zero(t, p.Jitter, name)
		require.Equal(t, want, strings.Join(delays(p), " "), name)
	}
}

func TestRetryPolicy_Table5TakesHalfADay(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for _, d := range (webhook.RetryPolicy{Policy: "table-5"}).Resolve().Schedule {
		sum += d.Std()
	}
	require.Equal(t, 14*time.Hour+36*time.Minute, sum)
}

func TestRetryPolicy_Delay_CountsFromOne(t *testing.T) {
	t.Parallel()
	p := webhook.RetryPolicy{Schedule: []webhook.Duration{1e9}}
	for _, n := range []int{-1, 0, 2} {
		_, ok := p.Delay(n, "dlv_1", time.Hour)
		require.False(t, ok, "attempt %d", n)
	}
}

func TestRetryPolicy_Delay_Jitter(t *testing.T) {
	t.Parallel()
	const base = 1000 * time.Second
	p := webhook.RetryPolicy{Schedule: slices.Repeat([]webhook.Duration{webhook.Duration(base)}, 10), Jitter: 0.1}
	var all []time.Duration
	for seed := range 100 {
		for n := 1; n <= 10; n++ {
			d, ok := p.Delay(n, fmt.Sprintf("dlv_%032x", seed), 0)
			require.True(t, ok)
			require.GreaterOrEqual(t, d, base)
			require.LessOrEqual(t, d, base+base/10)
			again, _ := p.Delay(n, fmt.Sprintf("dlv_%032x", seed), 0)
			require.Equal(t, d, again)
			all = append(all, d)
		}
	}
	// Neighbors, by delivery and by attempt, must not move together.
	slices.Sort(all)
	require.Less(t, all[0], base+base/100)
	require.Greater(t, all[len(all)-1], base+base/10-base/100)
	require.InDelta(t, float64(base+base/20), float64(all[len(all)/2]), float64(base/100))
	first, _ := p.Delay(1, "dlv_1", 0)
	second, _ := p.Delay(2, "dlv_1", 0)
	require.NotEqual(t, first, second, "each attempt draws anew")
	last, _ := p.Delay(1, "dlv_2", 0)
	require.Greater(t, (first - last).Abs(), base/1000, "the next delivery is elsewhere")
}

func TestRetryPolicy_Delay_RetryAfter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ limit, asked, want time.Duration }{
		{time.Hour, 0, time.Minute},
		{time.Hour, time.Second, time.Minute},
		{time.Hour, 5 * time.Minute, 5 * time.Minute},
		{time.Hour, 48 * time.Hour, time.Hour},
		{time.Second, time.Hour, time.Minute},
		{0, time.Hour, time.Minute},
		{time.Hour, -time.Hour, time.Minute},
	} {
		p := webhook.RetryPolicy{Schedule: []webhook.Duration{webhook.Duration(time.Minute)}, RetryAfterMax: webhook.Duration(tc.limit)}
		d, ok := p.Delay(1, "dlv_1", tc.asked)
		require.True(t, ok)
		require.Equal(t, tc.want, d, "asked %s, limit %s", tc.asked, tc.limit)
	}
}

// TestRetryPolicy_JSON makes sure that a policy means the same after a store or a workflow has kept it as JSON.
func TestRetryPolicy_JSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"policy":"table-5"}`, `{"schedule":[]}`, `{"schedule":["1s","5m"],"jitter":0.5,"retry_after_max":"1h"}`,
		`{"exponential":{"first":"1s","factor":2,"retries":0}}`, `{"exponential":{"first":"1s","factor":1.5,"retries":3,"cap":"1m"}}`,
	} {
		var p, again webhook.RetryPolicy
		require.NoError(t, json.Unmarshal([]byte(text), &p))
		kept, err := json.Marshal(p)
		require.NoError(t, err)
		require.JSONEq(t, text, string(kept))
		kept, err = json.Marshal(p.Resolve())
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(kept, &again))
		require.Equal(t, p.Resolve(), again)
	}
}

func TestRetryPolicyOf(t *testing.T) {
	t.Parallel()
	d := dialect(t, "rheo")
	own, tenants := &webhook.RetryPolicy{Policy: "table-5"}, &webhook.RetryPolicy{Schedule: []webhook.Duration{7e9}}
	require.Equal(t, own.Resolve(), webhook.RetryPolicyOf(own, tenants, d))
	require.Equal(t, tenants.Resolve(), webhook.RetryPolicyOf(nil, tenants, d))
	require.Equal(t, d.Retry.Resolve(), webhook.RetryPolicyOf(nil, nil, d))
}

func TestRetryPolicy_Validate(t *testing.T) {
	t.Parallel()
	many := slices.Repeat([]webhook.Duration{1e9}, webhook.MaxRetries+1)
	week := webhook.Duration(webhook.MaxRetryDelay)
	one := []webhook.Duration{1e9}
	for _, tc := range []struct {
		policy webhook.RetryPolicy
		want   []string
	}{
		{webhook.RetryPolicy{Schedule: many[1:]}, nil},
		{webhook.RetryPolicy{Schedule: []webhook.Duration{}, Jitter: 1, RetryAfterMax: week}, nil},
		{webhook.RetryPolicy{Exponential: &webhook.Exponential{First: week, Factor: 10, Retries: 30, Cap: week}}, nil},
		{webhook.RetryPolicy{}, []string{"retry"}},
		{webhook.RetryPolicy{Policy: "table-5", Schedule: one}, []string{"retry"}},
		{webhook.RetryPolicy{Policy: "table-6"}, []string{"retry.policy"}},
		{webhook.RetryPolicy{Schedule: many}, []string{"retry.schedule"}},
		{webhook.RetryPolicy{Schedule: []webhook.Duration{0, -1, week + 1}}, []string{"retry.schedule[0]", "retry.schedule[1]", "retry.schedule[2]"}},
		{webhook.RetryPolicy{Schedule: []webhook.Duration{1e9, week, 1e9 - 1}}, []string{"retry.schedule[2]"}},
		{webhook.RetryPolicy{Exponential: &webhook.Exponential{First: 1e9, Factor: 1, Cap: 1e9}}, nil},
		{
			webhook.RetryPolicy{Exponential: &webhook.Exponential{First: 1e9 - 1, Factor: 1, Cap: 1e9 - 1}},
			[]string{"retry.exponential.first", "retry.exponential.cap"},
		},
		{webhook.RetryPolicy{Schedule: one, Jitter: 1.1, RetryAfterMax: week + 1}, []string{"retry.jitter", "retry.retry_after_max"}},
		{webhook.RetryPolicy{Schedule: one, Jitter: math.NaN(), RetryAfterMax: -1}, []string{"retry.jitter", "retry.retry_after_max"}},
		{
			webhook.RetryPolicy{Exponential: &webhook.Exponential{Factor: math.NaN(), Retries: 31, Cap: -1}},
			[]string{"retry.exponential.first", "retry.exponential.factor", "retry.exponential.retries", "retry.exponential.cap"},
		},
		{
			webhook.RetryPolicy{Exponential: &webhook.Exponential{First: week + 1, Factor: 10.1, Retries: -1, Cap: week + 1}},
			[]string{"retry.exponential.first", "retry.exponential.factor", "retry.exponential.retries", "retry.exponential.cap"},
		},
	} {
		tenant := webhook.Tenant{ID: "acme", Name: "Acme", Dialect: "standard", Retry: &tc.policy}
		require.Equal(t, tc.want, fields(t, tenant.Validate(nil)), "%+v", tc.policy)
		require.NoError(t, tenant.Validate(&tenant), "a policy that is stored stays")
		require.Equal(t, tc.want, fields(t, tenant.Validate(&webhook.Tenant{})), "%+v", tc.policy)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`"10s"`: "10s", `"1h30m"`: "90m", `"90s"`: "1m30s", `"36h"`: "36h", `"0s"`: "0s", `"1.5s"`: "1.5s", `"-1h"`: "-1h",
	} {
		var d webhook.Duration
		require.NoError(t, json.Unmarshal([]byte(text), &d))
		require.Equal(t, want, d.String())
		kept, err := json.Marshal(d)
		require.NoError(t, err)
		require.Equal(t, `"`+want+`"`, string(kept))
	}
	for _, text := range []string{`10`, `"10"`, `"ten"`, `""`, `null`, `{}`} {
		var d webhook.Duration
		require.ErrorContains(t, json.Unmarshal([]byte(text), &d), "is a duration", text)
	}
}
