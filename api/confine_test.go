package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

const (
	myAuction    = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	otherAuction = "00000000-5717-4562-b3fc-2c963f66afa6"
)

// auctionPortal is a tenant with an endpoint of each of two auctions, and a session for the first one, whose filter is in upper case.
func auctionPortal(t *testing.T) (b *testBundle, token string, mine, others string) {
	t.Helper()
	b = setup(t)
	b.tenant("acme", "auction")
	endpoint := func(auction string) string {
		return into[object](b.admin("POST", "/v1/tenants/acme/endpoints",
			`{"url":"https://r.example/h","event_types":["*"],"filter":{"auction_id":["`+auction+`"]}}`).want(201))["id"].(string)
	}
	mine, others = endpoint(myAuction), endpoint(otherAuction)
	return b, b.portal("acme", fullPortal+`,"filter":{"auction_id":["`+strings.ToUpper(myAuction)+`"]}}`), mine, others
}

// A filter of a link is normalized as those of endpoints are, and what no event can match is refused.
func TestPortalLinks_Filter(t *testing.T) {
	t.Parallel()
	b, token, mine, _ := auctionPortal(t)
	require.Equal(t, map[string][]string{"auction_id": {myAuction}}, b.whoAmI(token).Filter)
	b.call(token, "GET", "/v1/tenants/acme/endpoints/"+mine, "").want(200)
	b.lenient = true
	for filter, field := range map[string]string{
		`{}`: "filter", `{"auction_id":[]}`: "filter.auction_id", `{"lot":["1"]}`: "filter.lot", `{"auction_id":["1"]}`: "filter.auction_id[0]",
	} {
		p := b.admin("POST", "/v1/tenants/acme/portal-links", `{"filter":`+filter+`}`).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{field}, p.fields(), filter)
	}
}

// A session with a filter makes and keeps endpoints with that filter only, whatever it sends.
func TestConfined_CannotEscape(t *testing.T) {
	t.Parallel()
	b, token, mine, _ := auctionPortal(t)
	const path = "/v1/tenants/acme/endpoints"
	create := `{"url":"https://r.example/h","event_types":["*"]`
	for _, filter := range []string{`null`, `{"auction_id":["` + otherAuction + `"]}`, `{"auction_id":["` + myAuction + `","` + otherAuction + `"]}`} {
		require.Equal(t, []string{"filter.auction_id"}, b.call(token, "PATCH", path+"/"+mine, `{"filter":`+filter+`}`).problem(422, webhook.CodeInvalid).fields(), filter)
		b.lenient = true
		require.Equal(t, []string{"filter.auction_id"}, b.call(token, "POST", path, create+`,"filter":`+filter+`}`).problem(422, webhook.CodeInvalid).fields(), filter)
		b.lenient = false
	}
	require.Len(t, b.store.endpoints, 2)
	b.call(token, "PATCH", path+"/"+mine, `{"url":"https://r.example/i","filter":{"auction_id":["`+strings.ToUpper(myAuction)+`"]}}`).want(200)
	made := into[object](b.call(token, "POST", path, create+`,"filter":{"auction_id":["`+strings.ToUpper(myAuction)+`"]}}`).want(201))
	b.call(token, "GET", path+"/"+made["id"].(string), "").want(200)

	// The platform gives the endpoint to another auction: it is gone at once.
	b.admin("PATCH", path+"/"+mine, `{"filter":{"auction_id":["`+otherAuction+`"]}}`).want(200)
	b.call(token, "GET", path+"/"+mine, "").problem(404, webhook.CodeNotFound)
}

// A test carries the endpoint's own auction, not the example's, and no other can be asked for: its event would be somebody else's.
func TestConfined_Tests(t *testing.T) {
	t.Parallel()
	b, token, mine, others := auctionPortal(t)
	path := "/v1/tenants/acme/endpoints/"
	id := into[object](b.call(token, "POST", path+mine+"/test", "").want(202))["id"].(string)
	event := into[object](b.call(token, "GET", "/v1/tenants/acme/events/"+id, "").want(200))
	require.Equal(t, object{"auction_id": myAuction}, event["attributes"])
	other := `{"attributes":{"auction_id":"` + otherAuction + `"}}`
	require.Equal(t, []string{"attributes.auction_id"}, b.call(token, "POST", path+mine+"/test", other).problem(422, webhook.CodeInvalid).fields())
	b.call(token, "POST", path+others+"/test", "").problem(404, webhook.CodeNotFound)
}

// An event that a session sees has only the deliveries that it sees, in the list and in the history.
func TestConfined_DeliveriesOfAnEvent(t *testing.T) {
	t.Parallel()
	b, token, mine, _ := auctionPortal(t)
	b.admin("POST", "/v1/tenants/acme/endpoints", `{"url":"https://r.example/all","event_types":["*"]}`).want(201)
	b.admin("POST", "/v1/tenants/acme/events", `{"id":"evt_1","type":"submission.created","data":{"salePrice":1},"attributes":{"auction_id":"`+myAuction+`"}}`).want(202)
	require.Len(t, into[object](b.admin("GET", "/v1/tenants/acme/events/evt_1/deliveries", "").want(200))["data"], 2)
	for _, list := range []string{"data", "deliveries"} {
		path := map[string]string{"data": "/v1/tenants/acme/events/evt_1/deliveries", "deliveries": "/v1/tenants/acme/events/evt_1/history"}[list]
		shown := into[object](b.call(token, "GET", path, "").want(200))[list].([]any)
		require.Len(t, shown, 1)
		require.Equal(t, mine, shown[0].(object)["endpoint_id"])
	}
}

// A portal session does not see what the platform keeps of its customer for itself.
func TestPortals_SeeTheTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.admin("PATCH", "/v1/tenants/acme", `{"contact_email":"ops@acme.example","metadata":{"plan":"gold"}}`).want(200)
	shown := into[object](b.call(b.portal("acme", ""), "GET", "/v1/tenants/acme", "").want(200))
	require.Equal(t, "N", shown["name"])
	require.NotContains(t, shown, "contact_email")
	require.NotContains(t, shown, "metadata")
	require.Contains(t, into[object](b.admin("GET", "/v1/tenants/acme", "").want(200)), "metadata")
}
