package webhook_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestRecovery_Validate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		change func(*webhook.Recovery)
		fields []string
	}{
		"nothing given":       {func(*webhook.Recovery) {}, nil},
		"everything given":    {func(r *webhook.Recovery) { r.Rate, r.EventTypes, r.Missed = 10_000, []string{"*", "a.b", "a.*"}, true }, nil},
		"no endpoint":         {func(r *webhook.Recovery) { r.EndpointID = webhook.EndpointID{} }, []string{"endpoint_id"}},
		"as old as possible":  {func(r *webhook.Recovery) { r.Since = now.Add(-webhook.DefaultRetention) }, nil},
		"too old":             {func(r *webhook.Recovery) { r.Since = now.Add(-webhook.DefaultRetention - 1) }, []string{"since"}},
		"to come":             {func(r *webhook.Recovery) { r.Since, r.Until = now.Add(time.Hour), now.Add(2*time.Hour) }, []string{"until"}},
		"turned around":       {func(r *webhook.Recovery) { r.Since, r.Until = now, now.Add(-time.Hour) }, []string{"until"}},
		"no status":           {func(r *webhook.Recovery) { r.Statuses = []webhook.Status{} }, []string{"statuses"}},
		"missed alone":        {func(r *webhook.Recovery) { r.Statuses, r.Missed = []webhook.Status{}, true }, nil},
		"delivered":           {func(r *webhook.Recovery) { r.Statuses = []webhook.Status{"exhausted", "delivered"} }, []string{"statuses[1]"}},
		"twice":               {func(r *webhook.Recovery) { r.Statuses = []webhook.Status{"canceled", "canceled"} }, []string{"statuses[1]"}},
		"wrong patterns":      {func(r *webhook.Recovery) { r.EventTypes = []string{"a.*.b", "", "*.a", "a*"} }, []string{"event_types[0]", "event_types[1]", "event_types[2]", "event_types[3]"}},
		"as many as possible": {func(r *webhook.Recovery) { r.EventTypes = slices.Repeat([]string{"a"}, webhook.MaxEventTypes) }, nil},
		"too many types":      {func(r *webhook.Recovery) { r.EventTypes = slices.Repeat([]string{"a"}, webhook.MaxEventTypes+1) }, []string{"event_types"}},
		"no type":             {func(r *webhook.Recovery) { r.EventTypes = []string{} }, []string{"event_types"}},
		"long type":           {func(r *webhook.Recovery) { r.EventTypes = []string{strings.Repeat("a", webhook.MaxTypeBytes) + ".*"} }, nil},
		"too long":            {func(r *webhook.Recovery) { r.EventTypes = []string{strings.Repeat("a", webhook.MaxTypeBytes+1) + ".*"} }, []string{"event_types[0]"}},
		"too fast":            {func(r *webhook.Recovery) { r.Rate = 10_001 }, []string{"rate"}},
		"backwards":           {func(r *webhook.Recovery) { r.Rate = -1 }, []string{"rate"}},
	} {
		r := &webhook.Recovery{EndpointID: webhook.NewID[webhook.EndpointID]([16]byte{1})}
		tc.change(r)
		r.SetDefaults(now, webhook.DefaultRetention)
		require.False(t, r.Until.After(now), name)
		err := r.Validate(now, webhook.DefaultRetention)
		if tc.fields == nil {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, webhook.CodeInvalid, webhook.ErrorCode(err), name)
		var e *webhook.Error
		require.ErrorAs(t, err, &e)
		var fields []string
		for _, f := range e.Fields {
			fields = append(fields, f.Field)
		}
		require.Equal(t, tc.fields, fields, name)
	}
}

func TestRecovery_Misses(t *testing.T) {
	t.Parallel()
	d := &webhook.Dialect{Attributes: map[string]webhook.AttributeRule{"auction_id": {Format: webhook.FormatUUID}}}
	e := &webhook.Endpoint{EventTypes: []string{"order.*"}, Filter: map[string][]string{"auction_id": {"ABC"}}}
	r := &webhook.Recovery{Missed: true}
	require.True(t, r.Misses(e, d, "order.made", map[string]string{"auction_id": "abc"}))
	require.False(t, r.Misses(e, nil, "order.made", map[string]string{"auction_id": "abc"}))
	require.False(t, r.Misses(e, d, "order.made", nil))
	require.False(t, r.Misses(e, d, "item.sold", map[string]string{"auction_id": "abc"}), "the endpoint does not subscribe")
	r.EventTypes = []string{"item.*"}
	require.False(t, r.Misses(e, d, "order.made", map[string]string{"auction_id": "abc"}), "the recovery is about others")
	require.False(t, (&webhook.Recovery{}).Misses(e, d, "order.made", map[string]string{"auction_id": "abc"}), "it is not about missed events")
}
