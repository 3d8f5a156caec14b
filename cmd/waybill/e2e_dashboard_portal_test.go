package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// portalLink makes a portal link and returns its path, as a platform puts it behind its own button.
func (tn *tenant) portalLink(t *testing.T, more fields) string {
	t.Helper()
	var link struct{ URL string }
	tn.call(t, "POST", tn.path+"/portal-links", fields{}.with(more)).is(t, 201, &link)
	path, ok := strings.CutPrefix(link.URL, "http://"+tn.server.address)
	require.True(t, ok, "%s", link.URL)
	return path
}

// A portal link opens once. Its holder adds and tests an endpoint, and sees nothing of keys, audit and settings.
func TestDashboard_Portal(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradly", fields{"name": "Corner Shop", "branding": fields{"accent_color": "#7a1fa2"}})
	link := tn.portalLink(t, fields{"scopes": []string{"read", "manage"}})
	p := visit(t, tn.server)
	p.open(link)
	await(t, patience, "the link to open", func() error { return p.is("/tenants/" + tn.id) })
	p.see("Corner Shop", "Nothing is sent yet")
	p.hasNot("API keys", "Audit", "Settings", "Tenants", "Sign out")
	for _, page := range []string{"keys", "audit", "settings", "new-portal-link"} {
		p.open("/tenants/" + tn.id + "/" + page)
		require.NotEmpty(t, p.rows(".notice.bad, .empty, main h1"))
		p.hasNot("Save", "Make", "Make a key")
	}
	r := newReceiver(t)
	_, secret := p.addEndpoint(tn, r.url+"/hook", func() { p.tick("order.confirmed") })
	p.press("Test the endpoint", "Send the test")
	p.see("The receiver accepted order.confirmed")
	_, _, err := receiveTradly(&r.wait(t, 1)[0], secret)
	require.NoError(t, err)

	other := visit(t, tn.server)
	for _, who := range []*person{other, p} {
		who.open(link)
		who.see("This link does not open any more", "It was opened before")
	}
	p.open("/tenants/" + tn.id)
	require.Equal(t, "/tenants/"+tn.id, p.path(), "whoever is signed in stays so")
	p.press("Leave")
	p.open("/tenants/" + tn.id)
	require.Equal(t, "/sign-in", p.path())
}

// An auction's administrator comes through a link with a filter: he sees his auction's endpoints alone, and what he adds is for his
// auction, without his saying so.
func TestDashboard_PortalWithFilter(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "auction-excellence", nil)
	mine, theirs := newReceiver(t), newReceiver(t)
	spring := tn.endpoint(t, mine, fields{"description": "the spring auction", "filter": fields{"auction_id": []string{springAuction}}})
	autumn := tn.endpoint(t, theirs, fields{"description": "the autumn auction", "filter": fields{"auction_id": []string{autumnAuction}}})
	publish := func(auction string, n int) *receipt {
		return tn.publish(t, fields{"type": "message.created", "data": fields{}, "attributes": fields{"auction_id": auction}}, n)
	}
	own := publish(springAuction, 1).Deliveries[0].ID
	foreign := publish(autumnAuction, 1)
	tn.waitDelivery(t, own, "delivered", 1)
	tn.waitDelivery(t, foreign.Deliveries[0].ID, "delivered", 1)

	p := visit(t, tn.server)
	p.open(tn.portalLink(t, fields{"scopes": []string{"read", "manage"}, "filter": fields{"auction_id": []string{springAuction}}}))
	await(t, patience, "the link to open", func() error { return p.is("/tenants/" + tn.id) })
	p.press("Endpoints")
	p.see("the spring auction")
	p.lose("the autumn auction")
	p.press("Deliveries")
	require.Len(t, p.rows("#log-rows tr"), 1)
	for _, path := range []string{"/endpoints/" + autumn.ID, "/endpoints/" + autumn.ID + "/edit", "/deliveries/" + foreign.Deliveries[0].ID, "/events/" + foreign.ID} {
		p.open("/tenants/" + tn.id + path)
		require.Regexp(t, "(?i)not exist|not found|no such|there is no", p.text("main"), path)
	}
	p.open("/tenants/" + tn.id + "/endpoints/" + spring.ID)
	p.see(springAuction, "Delivery history")

	third := newReceiver(t)
	id, _ := p.addEndpoint(tn, third.url+"/hook", func() {
		p.see("This session is for it alone")
		p.tick("Everything")
	})
	var made struct{ Filter map[string][]string }
	tn.call(t, "GET", tn.path+"/endpoints/"+id, nil).is(t, 200, &made)
	require.Equal(t, map[string][]string{"auction_id": {springAuction}}, made.Filter)
	publish(autumnAuction, 1)
	publish(springAuction, 2)
	third.wait(t, 1)
}

// A key that may only read sees everything of its tenant and no button that changes anything.
func TestDashboard_ReadOnly(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, nil)
	id := tn.exhaust(t, 1, fields{"type": "order.confirmed", "data": 1}, 1)[0]
	event := tn.delivery(t, id).EventID
	run := tn.recover(t, e, nil)
	_, key := tn.keyOf(t, "read")
	p := visit(t, tn.server).signIn(key)
	for _, path := range []string{
		"", "/endpoints", "/endpoints/" + e.ID, "/deliveries", "/deliveries/" + id, "/events", "/events/" + event, "/event-types", "/recoveries",
		"/recoveries/" + run.ID,
	} {
		p.open("/tenants/" + tn.id + path)
		require.NotEmpty(t, p.text("main h1"))
		require.Empty(t, p.rows("main form[method=post], main [data-dialog], .notice.bad"), path)
		p.hasNot("Add an endpoint", "Edit", "Test", "Send a test", "Publish an event", "Show or rotate the secret", "Recover what it missed", "API keys", "Settings")
	}
	for _, path := range []string{"/new-endpoint", "/publish", "/endpoints/" + e.ID + "/secret", "/endpoints/" + e.ID + "/edit", "/endpoints/" + e.ID + "/recover", "/keys", "/settings"} {
		p.open("/tenants/" + tn.id + path)
		p.hasNot("Save the endpoint", "Save", "Publish", "Show the secret", "Count them first", "Make a key")
	}
}
