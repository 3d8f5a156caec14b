package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// endpoint is a valid endpoint of most dialects, changed.
func endpoint(change func(*webhook.Endpoint)) *webhook.Endpoint {
	e := &webhook.Endpoint{URL: "https://r.example/hook?x=1", EventTypes: []string{"*"}}
	change(e)
	return e
}

func TestEndpoint_Validate_EventTypes(t *testing.T) {
	t.Parallel()
	many := make([]string, webhook.MaxEventTypes+1)
	for i := range many {
		many[i] = fmt.Sprintf("a.b%d", i)
	}
	for _, tc := range []struct {
		dialect string
		unknown bool
		types   []string
		want    []string
	}{
		{"standard", false, []string{"*"}, nil},
		{"standard", false, []string{"order.*", "order.item.*", "order", "a_b-C.9"}, nil},
		{"standard", false, many[1:], nil},
		{"standard", false, many, []string{"event_types"}},
		{"standard", false, nil, []string{"event_types"}},
		{"standard", false, []string{"order*"}, []string{"event_types[0]"}},
		{"standard", false, []string{"*.created", ".*", "", "a..b", "a b", "**"}, []string{
			"event_types[0]", "event_types[1]", "event_types[2]", "event_types[3]", "event_types[4]", "event_types[5]",
		}},
		{"standard", false, []string{"order.", ".order", "order.*.*", "order.*.x"}, []string{
			"event_types[0]", "event_types[1]", "event_types[2]", "event_types[3]",
		}},
		{"tradly", false, []string{"user.created", "listing.*"}, nil},
		{"tradly", false, []string{"user.created", "user.deleted"}, []string{"event_types[1]"}},
		{"tradly", false, []string{"users.*", "user.created.*", "*"}, []string{"event_types[0]", "event_types[1]"}},
		{"tradly", true, []string{"user.deleted", "users.*"}, nil},
		{"standard", false, []string{strings.Repeat("x", 128), strings.Repeat("x", 128) + ".*"}, nil},
		{"standard", false, []string{strings.Repeat("x", 129), strings.Repeat("x", 129) + ".*"}, []string{"event_types[0]", "event_types[1]"}},
		{"tradevine", false, []string{"product.created"}, nil},
		{"tradevine", false, []string{"product.created", "product.updated"}, []string{"event_types"}},
		{"tradevine", false, []string{"product.*"}, []string{"event_types[0]"}},
		{"tradevine", false, []string{"*"}, []string{"event_types[0]"}},
		{"tradevine", false, []string{"product.sold"}, []string{"event_types[0]"}},
		{"tradevine", true, []string{"product.sold"}, nil},
		{"tradevine", true, []string{"customer.created"}, []string{"event_types[0]"}},
	} {
		e := endpoint(func(e *webhook.Endpoint) { e.EventTypes = tc.types })
		err := e.Validate(webhook.Limits{Dialect: dialect(t, tc.dialect), AllowUnknownTypes: tc.unknown})
		require.Equal(t, tc.want, fields(t, err), "%s %v", tc.dialect, tc.types)
	}
}

func TestEndpoint_Validate_Headers(t *testing.T) {
	t.Parallel()
	all := map[string]*webhook.Dialect{}
	for _, name := range []string{"standard", "rheo", "tradly", "tradevine", "auction-excellence"} {
		all[name] = dialect(t, name)
	}
	reserved := webhook.ReservedHeaders(all)
	for _, tc := range []struct {
		dialect string
		headers map[string]string
		want    []string
	}{
		{"standard", map[string]string{"Authorization": "Bearer k", "x-a!#$%&'*+.^_`|~9": ""}, nil},
		{"standard", map[string]string{"X-A": strings.Repeat("x", 4096)}, nil},
		{"standard", map[string]string{"X-A": strings.Repeat("x", 4097)}, []string{"headers.X-A"}},
		{"standard", map[string]string{"X-A": "a\r\nX-B: b"}, []string{"headers.X-A"}},
		{"standard", map[string]string{"X-A": "é"}, []string{"headers.X-A"}},
		{"standard", map[string]string{"X-A": "a\tb"}, []string{"headers.X-A"}},
		{"standard", map[string]string{"X-A": " a", "X-B": "a ", "X-C": " ", "X-D": ""}, []string{"headers.X-A", "headers.X-B", "headers.X-C"}},
		{"standard", map[string]string{"Cookie": "a=1; b=2"}, nil},
		{"standard", map[string]string{"Cookie": "a=1;b=2"}, []string{"headers.Cookie"}},
		{"standard", map[string]string{"cookie": "a=1;"}, []string{"headers.cookie"}},
		{"standard", map[string]string{"Idempotency-Key": "k", "Date": "d", "X-Real-IP": "i"}, nil},
		{"standard", map[string]string{"Content-Encoding": "gzip", "Via": "a", "forwarded": "a", "X-Forwarded-For": "a", "HTTP2-Settings": "a"}, []string{
			"headers.Content-Encoding", "headers.HTTP2-Settings", "headers.Via", "headers.X-Forwarded-For", "headers.forwarded",
		}},
		{"standard", map[string]string{"Connection": "a", "Keep-Alive": "a", "TE": "a", "Trailer": "a", "Upgrade": "a", "Expect": "a", "Proxy-Connection": "a"}, []string{
			"headers.Connection", "headers.Expect", "headers.Keep-Alive", "headers.Proxy-Connection", "headers.TE", "headers.Trailer", "headers.Upgrade",
		}},
		{"standard", map[string]string{"": "a", "X A": "a", "X:A": "a", "é": "a"}, []string{"headers.", "headers.X A", "headers.X:A", "headers.é"}},
		{"standard", map[string]string{"host": "a", "Content-Length": "1", "PROXY-Authorization": "a", "Transfer-Encoding": "a", "user-agent": "a"}, []string{
			"headers.Content-Length", "headers.PROXY-Authorization", "headers.Transfer-Encoding", "headers.host", "headers.user-agent",
		}},
		{"standard", map[string]string{"Webhook-ID": "a", "WEBHOOK-SIGNATURE": "a"}, []string{"headers.WEBHOOK-SIGNATURE", "headers.Webhook-ID"}},
		{"rheo", map[string]string{"Webhook-ID": "a", "webhook-timestamp": "a", "X-Tradly-Signature": "a"}, []string{
			"headers.Webhook-ID", "headers.X-Tradly-Signature", "headers.webhook-timestamp",
		}},
		{"standard", map[string]string{"X-Rheo-Signature": "a", "x-tradevine-hmac-sha256": "a", "X-Webhook-Signature": "a", "X-Webhook-ID": "a"}, []string{
			"headers.X-Rheo-Signature", "headers.X-Webhook-ID", "headers.X-Webhook-Signature", "headers.x-tradevine-hmac-sha256",
		}},
		{"standard", map[string]string{"X-Webhook-Timestamp": "a", "X-Webhook-Event": "a"}, []string{"headers.X-Webhook-Event", "headers.X-Webhook-Timestamp"}},
		{"rheo", map[string]string{"x-rheo-signature": "a"}, []string{"headers.x-rheo-signature"}},
		{"auction-excellence", map[string]string{"X-Webhook-Id": "a"}, []string{"headers.X-Webhook-Id"}},
		{"standard", map[string]string{"X-A": "a", "x-a": "b"}, []string{"headers.x-a"}},
		{"tradevine", map[string]string{"X-A": "a"}, nil},
		{"tradevine", map[string]string{"X-A": "a", "X-B": "b"}, []string{"headers"}},
	} {
		e := endpoint(func(e *webhook.Endpoint) { e.Headers, e.EventTypes = tc.headers, []string{"*"} })
		if tc.dialect == "tradevine" {
			e.EventTypes = []string{"product.created"}
		}
		require.Equal(t, tc.want, fields(t, e.Validate(webhook.Limits{Dialect: dialect(t, tc.dialect), ReservedHeaders: reserved})), "%v", tc.headers)
	}
}

func manyStrings(n int) map[string]string {
	out := map[string]string{}
	for name := range manyFilters(n) {
		out[name] = "b"
	}
	return out
}

func manyFilters(n int) map[string][]string {
	out := map[string][]string{}
	for i := range n {
		out[fmt.Sprintf("a%02d", i)] = []string{"b"}
	}
	return out
}

// TestEndpoint_Validate_Filter refuses what no event of the dialect could match.
func TestEndpoint_Validate_Filter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		dialect string
		filter  map[string][]string
		want    []string
	}{
		{"auction-excellence", map[string][]string{"auction_id": {auctionID, strings.ToUpper(auctionID)}}, nil},
		{"auction-excellence", map[string][]string{"auction": {auctionID}}, []string{"filter.auction"}},
		{"auction-excellence", map[string][]string{"Auction_ID": {auctionID}, "region": {}}, []string{"filter.Auction_ID", "filter.region"}},
		{"auction-excellence", map[string][]string{"auction_id": {auctionID, "17", ""}}, []string{"filter.auction_id[1]"}},
		{"auction-excellence", map[string][]string{"auction_id": {}}, []string{"filter.auction_id"}},
		{"tradly", map[string][]string{"anything": {"17"}}, nil}, // a dialect without attributes admits any
	} {
		e := endpoint(func(e *webhook.Endpoint) { e.Filter = tc.filter })
		require.Equal(t, tc.want, fields(t, e.Validate(webhook.Limits{Dialect: dialect(t, tc.dialect)})), "%v", tc.filter)
	}
	wrong := endpoint(func(e *webhook.Endpoint) { e.Filter = map[string][]string{"auction": {auctionID}} })
	require.ErrorContains(t, wrong.Validate(webhook.Limits{Dialect: dialect(t, "auction-excellence")}),
		"filter.auction is not an attribute of the dialect auction-excellence, which has auction_id")
}

// TestEndpoint_Validate_Stored changes an endpoint from before the rules for types, filters and retry policies: what it has
// goes on, what it gets is new.
func TestEndpoint_Validate_Stored(t *testing.T) {
	t.Parallel()
	old := func(change func(*webhook.Endpoint)) *webhook.Endpoint {
		return endpoint(func(e *webhook.Endpoint) {
			e.EventTypes = []string{"lots.*"}
			e.Filter = map[string][]string{"auction": {"17"}}
			e.Retry = &webhook.RetryPolicy{Schedule: []webhook.Duration{0, 5e8}}
			change(e)
		})
	}
	stored := old(func(*webhook.Endpoint) {})
	limits := webhook.Limits{Dialect: dialect(t, "auction-excellence")}
	require.Equal(t, []string{"event_types[0]", "filter.auction", "retry.schedule[0]", "retry.schedule[1]"}, fields(t, stored.Validate(limits)))
	limits.Stored = stored
	for _, tc := range []struct {
		change func(*webhook.Endpoint)
		want   []string
	}{
		{func(e *webhook.Endpoint) { e.Description = "new" }, nil},
		{func(e *webhook.Endpoint) { e.Retry = nil }, nil},
		{func(e *webhook.Endpoint) { e.EventTypes = []string{"*"} }, nil},
		{func(e *webhook.Endpoint) { e.EventTypes = []string{"*", "lots.*"} }, []string{"event_types[1]"}},
		{func(e *webhook.Endpoint) { e.Retry.Schedule = e.Retry.Schedule[:1] }, []string{"retry.schedule[0]"}},
		{func(e *webhook.Endpoint) { e.Filter["auction"] = []string{"18"} }, []string{"filter.auction"}},
		{func(e *webhook.Endpoint) { e.URL = "/" }, []string{"url"}},
	} {
		require.Equal(t, tc.want, fields(t, old(tc.change).Validate(limits)))
	}
}

func TestEndpoint_Normalize(t *testing.T) {
	t.Parallel()
	upper := strings.ToUpper(auctionID)
	e := endpoint(func(e *webhook.Endpoint) {
		e.Filter = map[string][]string{"auction_id": {upper, auctionID}, "Region": {"NZ"}}
	})
	e.Normalize(dialect(t, "auction-excellence"))
	require.Equal(t, map[string][]string{"auction_id": {auctionID, auctionID}, "Region": {"NZ"}}, e.Filter)
	e.Filter = map[string][]string{"auction_id": {upper}}
	e.Normalize(dialect(t, "standard"))
	require.Equal(t, upper, e.Filter["auction_id"][0], "a dialect that knows no UUIDs leaves text as it is")
}

func TestEndpoint_Validate_Rest(t *testing.T) {
	t.Parallel()
	duration := func(d time.Duration) *webhook.Duration { return (*webhook.Duration)(&d) }
	for _, tc := range []struct {
		change func(*webhook.Endpoint)
		want   []string
	}{
		{func(e *webhook.Endpoint) { e.Filter = map[string][]string{"region": {"nz", "au"}} }, nil},
		{func(e *webhook.Endpoint) { e.Filter = map[string][]string{"region": {}} }, []string{"filter.region"}},
		{func(e *webhook.Endpoint) {
			e.Filter = map[string][]string{"a": make([]string, 600), "b": make([]string, 400)}
		}, nil},
		{func(e *webhook.Endpoint) {
			e.Filter = map[string][]string{"a": make([]string, 600), "b": make([]string, 401)}
		}, []string{"filter"}},
		{func(e *webhook.Endpoint) { e.Filter = map[string][]string{"": {"a"}} }, []string{"filter."}},
		{func(e *webhook.Endpoint) {
			e.Filter = map[string][]string{strings.Repeat("x", 256): {strings.Repeat("x", 256)}}
		}, nil},
		{func(e *webhook.Endpoint) {
			e.Filter = map[string][]string{strings.Repeat("x", 257): {"a"}, "a": {"b", strings.Repeat("x", 257)}}
		}, []string{"filter.a[1]", "filter." + strings.Repeat("x", 121) + "..."}},
		{func(e *webhook.Endpoint) { e.Filter = manyFilters(webhook.MaxAttributes) }, nil},
		{func(e *webhook.Endpoint) { e.Filter = manyFilters(webhook.MaxAttributes + 1) }, []string{"filter"}},
		{func(e *webhook.Endpoint) { e.Description = strings.Repeat("x", 1001) }, []string{"description"}},
		{func(e *webhook.Endpoint) { e.Timeout = duration(time.Second) }, nil},
		{func(e *webhook.Endpoint) { e.Timeout = duration(time.Minute) }, nil},
		{func(e *webhook.Endpoint) { e.Timeout = duration(time.Second - 1) }, []string{"timeout"}},
		{func(e *webhook.Endpoint) { e.Timeout = duration(time.Minute + 1) }, []string{"timeout"}},
		{func(e *webhook.Endpoint) { e.AutoDisable = &webhook.AutoDisable{Off: true} }, nil},
		{func(e *webhook.Endpoint) { e.AutoDisable = &webhook.AutoDisable{Failures: 1} }, nil},
		{func(e *webhook.Endpoint) {
			e.AutoDisable = &webhook.AutoDisable{Failures: webhook.MaxDisableFailures, Span: webhook.Duration(webhook.MaxDisableSpan)}
		}, nil},
		{func(e *webhook.Endpoint) { e.AutoDisable = &webhook.AutoDisable{} }, []string{"auto_disable.failures"}},
		{func(e *webhook.Endpoint) { e.AutoDisable = &webhook.AutoDisable{Off: true, Span: 1} }, []string{"auto_disable"}},
		{func(e *webhook.Endpoint) {
			e.AutoDisable = &webhook.AutoDisable{Failures: webhook.MaxDisableFailures + 1}
		}, []string{"auto_disable.failures"}},
		{func(e *webhook.Endpoint) {
			e.AutoDisable = &webhook.AutoDisable{Failures: 1, Span: webhook.Duration(webhook.MaxDisableSpan) + 1}
		}, []string{"auto_disable.span"}},
		{func(e *webhook.Endpoint) { e.Metadata = manyStrings(webhook.MaxMetadata) }, nil},
		{func(e *webhook.Endpoint) { e.Metadata = manyStrings(webhook.MaxMetadata + 1) }, []string{"metadata"}},
		{func(e *webhook.Endpoint) { e.Retry = &webhook.RetryPolicy{Policy: "none"} }, []string{"retry.policy"}},
		{func(e *webhook.Endpoint) { *e = webhook.Endpoint{Timeout: duration(0)} }, []string{"url", "event_types", "timeout"}},
	} {
		e := endpoint(tc.change)
		require.Equal(t, tc.want, fields(t, e.Validate(webhook.Limits{Dialect: dialect(t, "standard")})), "%+v", e)
	}
}

// TestPublication_Recipients_Matches holds which types and attributes an endpoint lets through.
func TestPublication_Recipients_Matches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		types      []string
		filter     map[string][]string
		eventType  string
		attributes map[string]string
		want       bool
	}{
		{[]string{"*"}, nil, "order.confirmed", nil, true},
		{[]string{"order.confirmed"}, nil, "order.confirmed", nil, true},
		{[]string{"order.confirmed"}, nil, "order.confirmed.late", nil, false},
		{[]string{"order.confirmed"}, nil, "Order.confirmed", nil, false},
		{[]string{"order.*"}, nil, "order.confirmed", nil, true},
		{[]string{"order.*"}, nil, "order.item.added", nil, true},
		{[]string{"order.*"}, nil, "order", nil, false},
		{[]string{"order.*"}, nil, "orders.confirmed", nil, false},
		{[]string{"user.created", "order.*"}, nil, "order.confirmed", nil, true},
		{nil, nil, "order.confirmed", nil, false},
		{[]string{"*"}, map[string][]string{"a": {"1", "2"}}, "x", map[string]string{"a": "2"}, true},
		{[]string{"*"}, map[string][]string{"a": {"1", "2"}}, "x", map[string]string{"a": "3"}, false},
		{[]string{"*"}, map[string][]string{"a": {"1"}}, "x", nil, false},
		{[]string{"*"}, map[string][]string{"a": {""}}, "x", nil, false},
		{[]string{"*"}, map[string][]string{"a": {"1"}, "b": {"2"}}, "x", map[string]string{"a": "1", "b": "2", "c": "3"}, true},
		{[]string{"*"}, map[string][]string{"a": {"1"}, "b": {"2"}}, "x", map[string]string{"a": "1"}, false},
		{[]string{"y"}, map[string][]string{"a": {"1"}}, "x", map[string]string{"a": "1"}, false},
	} {
		e := webhook.Endpoint{EventTypes: tc.types, Filter: tc.filter}
		p := webhook.Publication{Event: &webhook.Event{Type: tc.eventType, Attributes: tc.attributes}}
		to, others := p.Recipients([]webhook.Endpoint{e})
		require.Equal(t, tc.want, len(to) == 1, "%+v", tc)
		require.Equal(t, 1, len(to)+others.ByType+others.ByFilter, "%+v", tc)
		require.Equal(t, !tc.want && !e.Wants(tc.eventType), others.ByType == 1, "%+v", tc)
	}
}

func TestEndpoint_RequestTimeout(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]time.Duration{
		"standard": 20 * time.Second, "rheo": 10 * time.Second, "tradly": 10 * time.Second, "tradevine": 5 * time.Second,
		"auction-excellence": 30 * time.Second,
	} {
		require.Equal(t, want, endpoint(func(*webhook.Endpoint) {}).RequestTimeout(dialect(t, name)), name)
	}
	own := webhook.Duration(7 * time.Second)
	e := endpoint(func(e *webhook.Endpoint) { e.Timeout = &own })
	require.Equal(t, 7*time.Second, e.RequestTimeout(dialect(t, "rheo")))
}
