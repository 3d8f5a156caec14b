package webhook_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestTenant_Validate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		change func(*webhook.Tenant)
		want   []string
	}{
		{func(*webhook.Tenant) {}, nil},
		{func(x *webhook.Tenant) { x.ID = "a" }, nil},
		{func(x *webhook.Tenant) { x.ID = strings.Repeat("a", 63) }, nil},
		{func(x *webhook.Tenant) { x.ID = strings.Repeat("a", 64) }, []string{"id"}},
		{func(x *webhook.Tenant) { x.ID = "" }, []string{"id"}},
		{func(x *webhook.Tenant) { x.ID = "-a" }, []string{"id"}},
		{func(x *webhook.Tenant) { x.ID = "a-" }, []string{"id"}},
		{func(x *webhook.Tenant) { x.ID = "A" }, []string{"id"}},
		{func(x *webhook.Tenant) { x.ID = "a/b" }, []string{"id"}},
		{func(x *webhook.Tenant) { x.ID = "a\n" }, []string{"id"}},
		{func(x *webhook.Tenant) { x.Name = strings.Repeat("x", 201) }, []string{"name"}},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops@acme.example" }, nil},
		{func(x *webhook.Tenant) { x.ContactEmail = "Ops <ops@acme.example>" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops@acme" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops@acme.example\r\nBcc: a@b.example" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { *x = webhook.Tenant{Retry: &webhook.RetryPolicy{}} }, []string{"id", "name", "dialect", "retry"}},
	} {
		x := webhook.Tenant{ID: "acme", Name: "Acme", Dialect: "standard"}
		tc.change(&x)
		require.Equal(t, tc.want, fields(t, x.Validate()), "%+v", x)
	}
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	k := webhook.APIKey{TenantID: "acme", Name: "ci", Scopes: []webhook.Scope{webhook.ScopePublish}}
	require.NoError(t, k.Validate())
	require.True(t, k.Allows("acme", webhook.ScopePublish))
	require.False(t, k.Allows("acme", webhook.ScopeRead))
	require.False(t, k.Allows("other", webhook.ScopePublish))

	k = webhook.APIKey{Scopes: []webhook.Scope{webhook.ScopeRead, "admin"}}
	require.Equal(t, []string{"name", "scopes[1]"}, fields(t, k.Validate()))
	k = webhook.APIKey{Name: strings.Repeat("x", 201)}
	require.Equal(t, []string{"name", "scopes"}, fields(t, k.Validate()))
}

func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	plain := webhook.Errorf(webhook.CodeUnavailable, "the %s is down", "database")
	require.EqualError(t, plain, "unavailable: the database is down")
	full := plain.WithCause(cause)
	require.EqualError(t, full, "unavailable: the database is down: connection refused")
	require.NoError(t, plain.Cause, "WithCause leaves the original alone")
	require.ErrorIs(t, full, cause)

	require.Equal(t, webhook.CodeUnavailable, webhook.ErrorCode(fmt.Errorf("accept: %w", full)))
	require.Equal(t, webhook.CodeInternal, webhook.ErrorCode(cause))
	require.Equal(t, webhook.Code(""), webhook.ErrorCode(nil))
}

func TestPublication_Recipients(t *testing.T) {
	t.Parallel()
	id := func(last byte) webhook.EndpointID { return webhook.NewID[webhook.EndpointID]([16]byte{15: last}) }
	endpoints := []webhook.Endpoint{
		{ID: id(1), EventTypes: []string{"order.*"}},
		{ID: id(2), EventTypes: []string{"user.*"}},
		{ID: id(3), EventTypes: []string{"*"}, DisabledAt: &at},
		{ID: id(4), EventTypes: []string{"*"}, Filter: map[string][]string{"region": {"nz"}}},
		{ID: id(5), EventTypes: []string{"*"}, Filter: map[string][]string{"region": {"au"}}},
	}
	p := webhook.Publication{Event: event(func(e *webhook.Event) { e.Attributes = map[string]string{"region": "nz"} })}
	require.Equal(t, []webhook.EndpointID{id(1), id(3), id(4)}, p.Recipients(endpoints), "the disabled one, too")
	p.Only = id(2)
	require.Equal(t, []webhook.EndpointID{id(2)}, p.Recipients(endpoints), "whatever it subscribes to")
	p.Only = id(9)
	require.Empty(t, p.Recipients(endpoints))
	p.Only = webhook.EndpointID{}
	require.Empty(t, p.Recipients(nil))
}
