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
		{func(x *webhook.Tenant) { x.ContactEmail = "o'ps+webhooks@sub.acme.example" }, nil},
		{func(x *webhook.Tenant) { x.ContactEmail = "öps@acme.example" }, nil},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops,dev@acme.example" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops@acme.example,dev.example" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops..dev@acme.example" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.ContactEmail = `"o\"ps"@acme.example` }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops@acme.example(dev)" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.ContactEmail = "ops@[127.0.0.1]" }, []string{"contact_email"}},
		{func(x *webhook.Tenant) { x.URL = "https://acme.example" }, nil},
		{func(x *webhook.Tenant) { x.URL = "https://acme.example:8443/shop?a=b" }, nil},
		{func(x *webhook.Tenant) { x.URL = "https://acme.example/" + strings.Repeat("x", 179) }, nil},
		{func(x *webhook.Tenant) { x.URL = "https://acme.example/" + strings.Repeat("x", 180) }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "http://acme.example" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "acme.example" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "https://" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "https://user@acme.example" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "https://acme.example/#" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "https://acme.example/a b" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "https://acme.example/\r\nBcc: a@b.example" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.URL = "https://acmé.example/" }, []string{"url"}},
		{func(x *webhook.Tenant) { x.Limits = &webhook.TenantLimits{Endpoints: 1} }, nil},
		{func(x *webhook.Tenant) { x.Limits = &webhook.TenantLimits{Endpoints: webhook.MaxRecipients} }, nil},
		{func(x *webhook.Tenant) { x.Limits = &webhook.TenantLimits{Endpoints: webhook.MaxRecipients + 1} }, []string{"limits.endpoints"}},
		{func(x *webhook.Tenant) { x.Limits = &webhook.TenantLimits{} }, []string{"limits.endpoints"}},
		{func(x *webhook.Tenant) { x.Limits = &webhook.TenantLimits{Endpoints: 1, Keys: webhook.MaxKeys} }, nil},
		{func(x *webhook.Tenant) { x.Limits = &webhook.TenantLimits{Endpoints: 1, Keys: webhook.MaxKeys + 1} }, []string{"limits.keys"}},
		{func(x *webhook.Tenant) { x.Limits = &webhook.TenantLimits{Endpoints: 1, Keys: -1} }, []string{"limits.keys"}},
		{func(x *webhook.Tenant) { *x = webhook.Tenant{Retry: &webhook.RetryPolicy{}} }, []string{"id", "name", "dialect", "retry"}},
	} {
		x := webhook.Tenant{ID: "acme", Name: "Acme", Dialect: "standard"}
		tc.change(&x)
		require.Equal(t, tc.want, fields(t, x.Validate(nil)), "%+v", x)
	}
}

// A contact that an earlier version took does not keep anything else from being changed.
func TestTenant_Validate_StoredContact(t *testing.T) {
	t.Parallel()
	stored := webhook.Tenant{ID: "acme", Name: "Acme", Dialect: "standard", ContactEmail: "ops,dev@acme.example"}
	changed := stored
	changed.Name = "Acme 2"
	require.NoError(t, changed.Validate(&stored))
	changed.ContactEmail = "dev,ops@acme.example"
	require.Equal(t, []string{"contact_email"}, fields(t, changed.Validate(&stored)))
}

func TestTenant_MaxEndpoints(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		limits  *webhook.TenantLimits
		dialect string
		want    int
	}{
		{nil, "standard", 500},
		{&webhook.TenantLimits{Endpoints: 10_000}, "standard", 10_000},
		{&webhook.TenantLimits{Endpoints: 3}, "standard", 3},
		{nil, "rheo", 1},
		{&webhook.TenantLimits{Endpoints: 10_000}, "rheo", 1},
	} {
		tenant := webhook.Tenant{Limits: tc.limits}
		require.Equal(t, tc.want, tenant.MaxEndpoints(dialect(t, tc.dialect)), "%+v", tc)
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
	to, others := p.Recipients(endpoints)
	require.Equal(t, []webhook.EndpointID{id(1), id(3), id(4)}, to, "the disabled one, too")
	require.Equal(t, webhook.RuledOut{ByType: 1, ByFilter: 1}, others)
	p.Only = id(2)
	to, others = p.Recipients(endpoints)
	require.Equal(t, []webhook.EndpointID{id(2)}, to, "whatever it subscribes to")
	require.Zero(t, others)
	p.Only = id(9)
	to, _ = p.Recipients(endpoints)
	require.Empty(t, to)
	p.Only = webhook.EndpointID{}
	to, others = p.Recipients(nil)
	require.Empty(t, to)
	require.Zero(t, others)
}

// anyData is webhook.Schemas without a schema.
type anyData struct{}

func (anyData) Validate(string, string, []byte) error      { return nil }
func (anyData) ValidateOwn(*webhook.OwnType, []byte) error { return nil }
func (anyData) CheckSchema([]byte) error                   { return nil }

// TestNewPublication_UUIDs publishes an attribute of the format uuid in upper case: it is stored, compared and sent in lower
// case, and matches what filters were stored as before.
func TestNewPublication_UUIDs(t *testing.T) {
	t.Parallel()
	d := dialect(t, "auction-excellence")
	publish := func(auction string) *webhook.Publication {
		given := map[string]string{"auction_id": auction, "Lot": "A-17"}
		e := event(func(e *webhook.Event) { e.Type, e.Attributes = "member.joined", given })
		p, err := webhook.NewPublication(e, &webhook.Tenant{}, d, nil, anyData{}, nil, at)
		require.NoError(t, err)
		require.Equal(t, auction, given["auction_id"], "the map may be shared")
		return p
	}
	upper, lower := publish(strings.ToUpper(auctionID)), publish(auctionID)
	require.Equal(t, map[string]string{"auction_id": auctionID, "Lot": "A-17"}, upper.Event.Attributes)
	require.Equal(t, string(lower.Body.Bytes), string(upper.Body.Bytes))
	require.Contains(t, string(upper.Body.Bytes), `"auction_id":"`+auctionID+`"`)
	require.Equal(t, lower.Digest, upper.Digest, "a repetition, not a conflict")
	asWritten := *upper.Event
	asWritten.Attributes = map[string]string{"auction_id": strings.ToUpper(auctionID), "Lot": "A-17"}
	earlier := asWritten.Digest(nil)
	require.True(t, upper.Repeats(lower.Digest[:]))
	require.True(t, upper.Repeats(earlier[:]), "an earlier version, which kept it as written, took the first")
	require.False(t, lower.Repeats(earlier[:]))
	require.False(t, lower.Repeats(make([]byte, 32)))

	for _, tc := range []struct {
		filter map[string][]string
		want   webhook.RuledOut
	}{
		{map[string][]string{"auction_id": {"x", strings.ToUpper(auctionID)}}, webhook.RuledOut{}},
		{map[string][]string{"auction_id": {auctionID}}, webhook.RuledOut{}},
		{map[string][]string{"auction_id": {auctionID[:35] + "4"}}, webhook.RuledOut{ByFilter: 1}},
		{map[string][]string{"Lot": {"a-17"}}, webhook.RuledOut{ByFilter: 1}},
	} {
		_, others := upper.Recipients([]webhook.Endpoint{{EventTypes: []string{"*"}, Filter: tc.filter}})
		require.Equal(t, tc.want, others, "%v", tc.filter)
	}
}

func TestNewReceipt(t *testing.T) {
	t.Parallel()
	others := webhook.RuledOut{ByType: 2, ByFilter: 1}
	require.Equal(t, &webhook.Receipt{EventID: "e", RuledOut: &others}, webhook.NewReceipt("e", nil, others))
	one := []webhook.ReceiptDelivery{{}}
	require.Equal(t, &webhook.Receipt{EventID: "e", Deliveries: one}, webhook.NewReceipt("e", one, others))
}
