package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func TestTenants_Filters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, tenant := range []webhook.Tenant{
		{ID: "acme", Name: "Acme 100% Ltd", Dialect: "standard", Metadata: map[string]string{"plan": "gold", "region": "nz"}},
		{ID: "beta", Name: "Beta", Dialect: "rheo", Metadata: map[string]string{"plan": "gold"}},
		{ID: "gamma", Name: "Gamma of Acme", Dialect: "rheo"},
	} {
		tenant.CreatedAt = now()
		require.NoError(t, b.CreateTenant(t.Context(), &tenant, webhook.Secret{}, nil))
	}
	for name, tc := range map[string]struct {
		filter store.TenantFilter
		want   []string
	}{
		"none":         {store.TenantFilter{}, []string{"acme", "beta", "gamma"}},
		"dialect":      {store.TenantFilter{Dialect: "rheo"}, []string{"beta", "gamma"}},
		"id or name":   {store.TenantFilter{Text: "ACME"}, []string{"acme", "gamma"}},
		"no wildcards": {store.TenantFilter{Text: "0% L"}, []string{"acme"}},
		"nor _":        {store.TenantFilter{Text: "a_m"}, nil},
		"metadata":     {store.TenantFilter{Metadata: map[string]string{"plan": "gold"}}, []string{"acme", "beta"}},
		"all of it":    {store.TenantFilter{Metadata: map[string]string{"plan": "gold", "region": "nz"}}, []string{"acme"}},
		"together":     {store.TenantFilter{Dialect: "rheo", Text: "acme"}, []string{"gamma"}},
		"nothing":      {store.TenantFilter{Metadata: map[string]string{"plan": "iron"}}, nil},
	} {
		tc.filter.Page.Limit = 10
		found, err := b.Tenants(t.Context(), tc.filter)
		require.NoError(t, err)
		var got []string
		for _, f := range found.Items {
			got = append(got, f.ID)
		}
		require.Equal(t, tc.want, got, name)
		require.Empty(t, found.Next)
	}
}

// However many tenants there are, a call looks at a bounded number of them, and the next one goes on.
func TestTenants_FilterEndsItsSearch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`INSERT INTO tenants (id, name, dialect, created_at)
		SELECT 't' || lpad(n::text, 6, '0'), 'n', CASE WHEN n = $1 THEN 'rheo' ELSE 'standard' END, now() FROM generate_series(1, $1) AS n`, 2*postgres.Searched+1)
	f := store.TenantFilter{Dialect: "rheo", Page: store.Page{Limit: 10}}
	var got []string
	calls := 0
	for ; ; calls++ {
		found, err := b.Tenants(t.Context(), f)
		require.NoError(t, err)
		for _, tenant := range found.Items {
			got = append(got, tenant.ID)
		}
		if found.Next == "" {
			break
		}
		f.Page.After = found.Next
	}
	require.Equal(t, 2, calls)
	require.Equal(t, []string{fmt.Sprintf("t%06d", 2*postgres.Searched+1)}, got)
}

func TestEndpoints_Filters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	names := map[webhook.EndpointID]string{}
	add := func(name string, change func(*webhook.Endpoint)) {
		names[b.endpoint("acme", change).ID] = name
	}
	at := now()
	add("all", func(e *webhook.Endpoint) { e.URL = "https://Billing.example/a_b" })
	add("orders", func(e *webhook.Endpoint) {
		e.EventTypes, e.Description = []string{"order.*", "user.created"}, "the Billing of orders"
		e.Metadata = map[string]string{"team": "é"}
	})
	add("deep", func(e *webhook.Endpoint) { e.EventTypes = []string{"order.line.*"} })
	add("off", func(e *webhook.Endpoint) {
		e.EventTypes, e.DisabledAt, e.Metadata = []string{"order.confirmed"}, &at, map[string]string{"team": "é", "n": "1"}
	})
	for id, name := range names {
		if name == "deep" || name == "off" {
			b.exec(`INSERT INTO endpoint_streaks (endpoint_id, tenant_id, failures, since) VALUES ($1, 'acme', $2, $3)`,
				id, map[string]int{"deep": 3}[name], at.Add(-time.Hour))
		}
	}
	yes, no := true, false
	for name, tc := range map[string]struct {
		filter store.EndpointFilter
		want   []string
	}{
		"none":            {store.EndpointFilter{}, []string{"all", "orders", "deep", "off"}},
		"enabled":         {store.EndpointFilter{Disabled: &no}, []string{"all", "orders", "deep"}},
		"disabled":        {store.EndpointFilter{Disabled: &yes}, []string{"off"}},
		"failing":         {store.EndpointFilter{Failing: &yes}, []string{"deep"}},
		"not failing":     {store.EndpointFilter{Failing: &no}, []string{"all", "orders", "off"}},
		"exact type":      {store.EndpointFilter{EventType: "order.confirmed"}, []string{"all", "orders", "off"}},
		"deep type":       {store.EndpointFilter{EventType: "order.line.added"}, []string{"all", "orders", "deep"}},
		"the group alone": {store.EndpointFilter{EventType: "order"}, []string{"all"}},
		"metadata":        {store.EndpointFilter{Metadata: map[string]string{"team": "é"}}, []string{"orders", "off"}},
		"text":            {store.EndpointFilter{Text: "billing"}, []string{"all", "orders"}},
		"text, no LIKE":   {store.EndpointFilter{Text: "/a_b"}, []string{"all"}},
		"together":        {store.EndpointFilter{Disabled: &yes, EventType: "order.confirmed", Metadata: map[string]string{"n": "1"}}, []string{"off"}},
	} {
		tc.filter.Page.Limit = 10
		found, err := b.Endpoints(t.Context(), "acme", tc.filter)
		require.NoError(t, err)
		var got []string
		for _, e := range found.Items {
			got = append(got, names[e.ID])
		}
		require.Equal(t, tc.want, got, name)
		require.Empty(t, found.Next)
	}
}

// In trouble is what Waybill disabled, what waits for its receiver's proof, and what fails: not what a person has disabled.
func TestEndpoints_Trouble(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	names := map[webhook.EndpointID]string{}
	add := func(name string, failures int, set string) {
		id := b.endpoint("acme").ID
		names[id] = name
		b.exec(`INSERT INTO endpoint_streaks (endpoint_id, tenant_id, failures, since) VALUES ($1, 'acme', $2, now())`, id, failures)
		if set != "" {
			b.exec(`UPDATE endpoints SET `+set+` WHERE id = $1`, id)
		}
	}
	add("healthy", 0, "")
	add("fails", 1, "")
	add("failed too often", 20, `disabled_at = now(), disabled_by = 'failures', disabled_reason = 'r'`)
	add("gone", 1, `disabled_at = now(), disabled_by = 'receiver', disabled_reason = 'r'`)
	add("by a person", 5, `disabled_at = now(), disabled_by = 'key_1', disabled_reason = 'r'`)
	add("by a signal", 0, `disabled_at = now(), disabled_by = 'signal', disabled_reason = 'r'`)
	add("unproven", 0, `unverified = true, disabled_at = now(), disabled_by = 'verification', disabled_reason = 'r'`)
	yes, no := true, false
	for name, tc := range map[string]struct {
		filter store.EndpointFilter
		want   []string
	}{
		"trouble":    {store.EndpointFilter{Trouble: &yes}, []string{"fails", "failed too often", "gone", "unproven"}},
		"no trouble": {store.EndpointFilter{Trouble: &no}, []string{"healthy", "by a person", "by a signal"}},
		"disabled":   {store.EndpointFilter{Trouble: &yes, Disabled: &yes, Unverified: &no}, []string{"failed too often", "gone"}},
	} {
		tc.filter.Page.Limit = 10
		found, err := b.Endpoints(t.Context(), "acme", tc.filter)
		require.NoError(t, err)
		var got []string
		for _, e := range found.Items {
			got = append(got, names[e.ID])
		}
		require.Equal(t, tc.want, got, name)
	}
}

// The filter by type finds what would get an event, as the publication itself decides.
func TestEndpoints_FilterByTypeIsWhatAPublicationDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for _, types := range [][]string{{"*"}, {"a.*"}, {"a.b"}, {"a.b.*"}, {"a"}, {"b.*", "a.b.c"}, {"ab.*"}} {
		b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes = types })
	}
	for _, eventType := range []string{"a", "a.b", "a.b.c", "a.b.c.d", "ab", "ab.c", "b.x"} {
		var want, got []webhook.EndpointID
		for _, d := range b.publish(publication("acme", "", func(e *webhook.Event) { e.Type = eventType })).Deliveries {
			want = append(want, d.EndpointID)
		}
		found, err := b.Endpoints(t.Context(), "acme", store.EndpointFilter{EventType: eventType, Page: store.Page{Limit: 100}})
		require.NoError(t, err)
		for _, e := range found.Items {
			got = append(got, e.ID)
		}
		require.Equal(t, want, got, eventType)
	}
}
