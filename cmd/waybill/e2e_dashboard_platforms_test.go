package main_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// addEndpoint goes to the list, adds an endpoint with what choose fills in, and returns its id and its secret, "" where it has none of
// its own.
func (p *person) addEndpoint(tn *tenant, url string, choose func()) (id, secret string) {
	p.t.Helper()
	p.open("/tenants/" + tn.id + "/endpoints")
	p.press("Add")
	p.see("Where to")
	p.fill("URL", url)
	choose()
	p.press("Save the endpoint")
	p.see("The endpoint is added")
	p.run(`document.querySelector("#secret")?.textContent ?? ""`, &secret)
	var list struct{ Data []endpoint }
	tn.call(p.t, "GET", tn.path+"/endpoints", nil).is(p.t, 200, &list)
	require.NotEmpty(p.t, list.Data)
	for _, e := range list.Data {
		if full := tn.showEndpoint(p.t, e.ID); full.URL == url {
			id = e.ID
		}
	}
	require.NotEmpty(p.t, id)
	return id, secret
}

// Rheo: a partner enters the webhook URL in the partner dashboard, takes the whsec_ secret, tests, and looks at recent attempts and
// error messages in the delivery log, where what failed for good is called failed.
func TestDashboard_Rheo(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t)
	_, key := tn.keyOf(t, "read", "manage")
	p := visit(t, tn.server).signIn(key)
	_, secret := p.addEndpoint(tn, r.url+"/hook", func() { p.tick("Everything") })
	require.Regexp(t, `^whsec_`, secret)

	p.press("Test the endpoint")
	p.fill("Event type", "item.sold")
	p.press("Send the test")
	p.see("The receiver accepted item.sold", "Answer: 200")
	got := r.wait(t, 1)[0]
	require.NoError(t, verifyRheo(got.body, got.header, secret))

	r.answers(reply{status: 503, body: "the stock system is away"})
	sold := readRheo(t, rheoSamples[1])
	id := tn.publish(t, fields{"type": sold.EventType, "data": sold.Data}, 1).Deliveries[0].ID
	tn.waitDelivery(t, id, "exhausted", 2)
	p.press("Deliveries")
	p.see("item.sold", "failed", "503")
	p.press("Filters")
	p.tick("failed")
	p.press("Show")
	require.Regexp(t, `status=exhausted`, p.address())
	require.Len(t, p.rows("#log-rows tr"), 1)
	p.pressOn("#log-rows a")
	p.see("Attempt 2", "503", "the stock system is away", "No attempt follows by itself")
}

// Tradly: an operator's partner enters an HTTPS URL, ticks the events, gets the webhook's own secret, and tries it.
func TestDashboard_Tradly(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradly", nil)
	whole, orders := newReceiver(t), newReceiver(t)
	_, key := tn.keyOf(t, "read", "manage")
	p := visit(t, tn.server).signIn(key)
	p.open("/tenants/" + tn.id + "/new-endpoint")
	p.fill("URL", "http://example.com/hook")
	p.tick("user.created")
	p.press("Save the endpoint")
	p.see("https")
	require.Equal(t, "/tenants/"+tn.id+"/new-endpoint", p.path())

	_, first := p.addEndpoint(tn, whole.url+"/hook", func() { p.tick("user.created", "listing.approved", "order.confirmed") })
	id, second := p.addEndpoint(tn, orders.url+"/hook", func() { p.tick("order.confirmed", "order.canceled") })
	require.NotEqual(t, first, second, "a unique secret for each webhook")
	p.press("Test the endpoint")
	p.fill("Event type", "order.canceled")
	p.press("Send the test")
	p.see("The receiver accepted order.canceled")
	_, _, err := receiveTradly(&orders.wait(t, 1)[0], second)
	require.NoError(t, err)

	known := examples(t, tn.caller, "tradly", tradlyTypes)
	tn.publish(t, known["user.created"].event("user.created"), 1)
	tn.publish(t, known["order.confirmed"].event("order.confirmed"), 2)
	whole.wait(t, 2)
	orders.wait(t, 2)
	p.open("/tenants/" + tn.id + "/endpoints/" + id)
	p.see("order.confirmed", "order.canceled", "Delivery history")

	p.press("Show or rotate the secret", "Show the secret")
	require.Equal(t, second, p.text("#secret"))
	p.press("Rotate the secret")
	p.see("The secret is rotated")
	require.NotEqual(t, second, p.text("#secret"))
}

// Tradevine: a webhook is one event type, an https URL and at most one custom header. Too many failures in a row disable it until a
// person enables it on the page; the application's secret is shared.
func TestDashboard_Tradevine(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradevine", fields{"retry": fields{"schedule": []string{"1s"}}})
	r := newReceiver(t, reply{status: 500})
	_, key := tn.keyOf(t, "read", "manage")
	p := visit(t, tn.server).signIn(key)
	id, secret := p.addEndpoint(tn, r.url+"/hook", func() {
		p.see("gets one event type")
		p.tick("product.created")
		p.tick("product.updated") // which takes the place of the other
		p.fill("Header name", "X-Shop-Key")
		p.fill("Header value", "shop 42")
	})
	require.Empty(t, secret)
	p.see("all endpoints of", "share")
	for range 5 { // of two attempts each
		tn.publish(t, `{"type":"product.updated","data":{"Code":"a"}}`, 1)
	}
	await(t, patience, "the endpoint to be disabled", func() error { return tn.endpointIs(t, id, "disabled") })
	held := tn.publish(t, `{"type":"product.updated","data":{"Code":"b"}}`, 1).Deliveries[0].ID
	tn.waitDelivery(t, held, "held", 0)

	p.open("/tenants/" + tn.id)
	p.see("Endpoints in trouble", "10 attempts in a row failed")
	p.pressOn("main table a")
	p.see("disabled", "10 attempts in a row failed")
	p.press("Enable")
	p.see("1 held delivery is sent")
	p.press("Enable it")
	p.see("500")
	require.NoError(t, tn.endpointIs(t, id, "disabled"))

	r.answers(reply{})
	p.press("Enable it")
	p.see("the endpoint is enabled")
	tn.waitDelivery(t, held, "delivered", 1)
	for _, got := range r.got() {
		require.Equal(t, "shop 42", got.header.Get("X-Shop-Key"))
		_, _, err := receiveTradevine(&got, tn.secret)
		require.NoError(t, err)
	}
}

// Auction Excellence: Settings, Integrations, Webhooks: add, select events and auction, save and test; the delivery history shows type,
// status, code, time and error; a disabled endpoint is enabled, and a test verifies it.
func TestDashboard_Auction(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "auction-excellence", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t)
	_, key := tn.keyOf(t, "read", "manage")
	p := visit(t, tn.server).signIn(key)
	id, secret := p.addEndpoint(tn, r.url+"/hook", func() {
		p.tick("message.created", "problem.status_changed")
		p.fill("auction_id", springAuction)
	})
	p.press("Test the endpoint", "Send the test")
	p.see("The receiver accepted")
	got := r.wait(t, 1)[0]
	require.NoError(t, verifyAuction(got.body, got.header, secret))

	say := func(auction string, deliveries int) []string {
		var ids []string
		for _, d := range tn.publish(t, fields{"type": "message.created", "data": fields{"text": "hello"}, "attributes": fields{"auction_id": auction}}, deliveries).Deliveries {
			ids = append(ids, d.ID)
		}
		return ids
	}
	tn.waitDelivery(t, say(springAuction, 1)[0], "delivered", 1)
	say(autumnAuction, 0)
	r.answers(reply{status: 502})
	tn.waitDelivery(t, say(springAuction, 1)[0], "exhausted", 1)
	p.open("/tenants/" + tn.id + "/endpoints/" + id)
	history := p.rows(`section[aria-labelledby=latest] tbody tr`)
	require.Len(t, history, 3)
	require.Regexp(t, `^message\.created failed 502 .*ms .*(ago|now)`, history[0])
	require.Regexp(t, `^message\.created success 200 .*ms`, history[1])

	p.press("Disable")
	p.fill("Reason", "the server moves")
	p.press("Disable it")
	p.see("The endpoint is disabled", "the server moves")
	r.answers(reply{})
	p.press("Enable")
	p.press("Enable it")
	p.see("The receiver accepted the test")
	require.NoError(t, tn.endpointIs(t, id, "enabled"))
}

// rows returns what each element of a selector says, in one line.
func (p *person) rows(selector string) []string {
	p.t.Helper()
	s, err := json.Marshal(selector)
	p.must(err)
	var rows []string
	p.run(`[...document.querySelectorAll(`+string(s)+`)].map(el => el.innerText)`, &rows)
	for i, row := range rows {
		rows[i] = spaces.ReplaceAllString(row, " ")
	}
	return rows
}

var spaces = regexp.MustCompile(`\s+`)

// address is the page's path and query.
func (p *person) address() string {
	p.t.Helper()
	var at string
	p.run("location.pathname + location.search", &at)
	return at
}
