package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A new delivery comes into the log by itself. Who pauses the log keeps what is there, until he goes on.
func TestDashboard_LiveTail(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	tn.endpoint(t, newReceiver(t), nil)
	_, key := tn.keyOf(t, "read")
	paused, live := visit(t, tn.server).signIn(key), visit(t, tn.server).signIn(key)
	send := func(eventType string) {
		tn.waitDelivery(t, tn.publish(t, fields{"type": eventType, "data": 1}, 1).Deliveries[0].ID, "delivered", 1)
	}
	for _, p := range []*person{paused, live} {
		p.press("Deliveries")
		p.see("Live")
	}
	send("order.first")
	paused.see("order.first", "delivered", "200")
	live.see("order.first")
	paused.keys("p")
	paused.see("Paused")
	send("order.second")
	live.see("order.second")
	require.Len(t, paused.rows("#log-rows tr"), 1)
	paused.press("Go on")
	paused.see("Live", "order.second")

	live.keys("j")
	live.keys("j")
	live.keys("\r")
	require.Regexp(t, "/deliveries/dlv_", live.path())
	live.see("order.first", "Attempt 1")
}

// What an endpoint missed is counted, confirmed, and sent while the page shows how far it is; a slow one is canceled half way.
func TestDashboard_Recovery(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{status: 500})
	e := tn.endpoint(t, r, nil)
	tn.exhaust(t, 30, fields{"type": "order.confirmed", "data": 1}, 1)
	tn.exhaust(t, 1, fields{"type": "order.canceled", "data": 1}, 1)
	r.answers(reply{})
	_, key := tn.keyOf(t, "read", "manage")
	p := visit(t, tn.server).signIn(key)
	ask := func(types, rate string) {
		p.open("/tenants/" + tn.id + "/endpoints/" + e.ID)
		p.press("Recover what it missed", "Event types, rate and reason")
		p.fill("Types or patterns", types)
		p.fill("Rate", rate)
		p.fill("Reason", "the receiver is mended")
		p.press("Count them first")
	}
	ask("order.canceled", "")
	p.see("It would send 1 delivery")
	require.Len(t, r.got(), 31, "counting sends nothing")
	p.press("Send 1 delivery")
	p.see("1 of 1 attempted", "completed", "the receiver is mended")
	r.wait(t, 32)

	ask("order.*", "1")
	p.see("It would send 30 deliveries", "order.confirmed")
	p.press("Send 30 deliveries")
	p.see("running")
	begun := p.progress(30)
	await(t, patience, "the page to show progress by itself", func() error {
		if now := p.progress(30); now <= begun {
			return fmt.Errorf("it shows %d", now)
		}
		return nil
	})
	p.press("Cancel it")
	p.see("Cancel")
	p.pressOn("dialog button")
	p.see("canceled", "not attempted")
	require.Less(t, len(tn.deliveries(t, "?status=delivered")), 31)
	p.open("/tenants/" + tn.id + "/recoveries")
	require.Len(t, p.rows("main tbody tr"), 2)
}

// progress is how many the page of a recovery says were attempted, of so many.
func (p *person) progress(of int) int {
	p.t.Helper()
	var n int
	_, err := fmt.Sscanf(p.text("#progress"), "%d of "+fmt.Sprint(of)+" attempted", &n)
	p.must(err)
	return n
}

// A receiver's developer pastes what arrived and reads whether it verifies and, if not, what is wrong.
func TestDashboard_VerifyBox(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "rheo", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, nil)
	sold := readRheo(t, rheoSamples[1])
	id := tn.publish(t, fields{"type": sold.EventType, "data": sold.Data}, 1).Deliveries[0].ID
	tn.waitDelivery(t, id, "delivered", 1)
	got := r.wait(t, 1)[0]
	_, key := tn.keyOf(t, "read")
	p := visit(t, tn.server).signIn(key)
	p.open("/tenants/" + tn.id + "/deliveries/" + id)
	p.press("How it was signed")
	p.see("It verifies.", "X-Rheo-Signature")
	verify := func(header string, body []byte) {
		p.fill("Headers", "X-Rheo-Signature: "+header)
		p.fill("Body", string(body))
		p.press("Verify")
	}
	verify(got.header.Get("X-Rheo-Signature"), got.body)
	p.see("It verifies.")
	verify(got.header.Get("X-Rheo-Signature"), rewritten(t, got.body))
	p.see("It does not verify.", "its JSON has the same meaning, so it was parsed and written again")
	require.NotContains(t, p.text("main"), e.Secret)

	other := hmac.New(sha256.New, []byte("whsec_another"))
	other.Write(got.body)
	verify("sha256="+hex.EncodeToString(other.Sum(nil)), got.body)
	p.see("It does not verify.", "secret")
	bare := hmac.New(sha256.New, []byte(e.Secret[len("whsec_"):]))
	bare.Write(got.body)
	verify("sha256="+hex.EncodeToString(bare.Sum(nil)), got.body)
	p.see("It does not verify.", "without whsec_")
	verify(hex.EncodeToString(bare.Sum(nil)), got.body)
	p.see("sha256=")
}

// rewritten is the JSON as a receiver writes it that has parsed it.
func rewritten(t *testing.T, body []byte) []byte {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal(body, &value))
	text, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	return text
}

// hostile are texts that must stay texts: programs, pictures that run programs, codes of terminals, marks that turn the direction of
// writing, and a word that has no end.
var hostile = []string{
	`<script>document.title = "taken"</script>`, `"><img src=/x onerror="document.title='taken'">`, `<svg onload="document.title='taken'"><animate onbegin=alert(1)>`,
	"\x1b[2J\x1b[31mred\x1b]0;taken\x07", "\u202eevil\u202d \u2066\u200f\u061c", `</pre></textarea></title><base href="https://evil.example/">`, `{{.}} ${7*7} javascript:alert(1)`,
	strings.Repeat("W", 16<<10),
}

// What a receiver answers and what an event says is text on every page, and no page grows wider for it.
func TestDashboard_HostileContent(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"name": "<b onclick=alert(1)>" + hostile[0], "retry": fields{"schedule": []string{}}})
	all := strings.Join(hostile, "\n")
	r := newReceiver(t, reply{status: 500, body: all, header: map[string]string{"X-Evil": hostile[0] + hostile[1], "Content-Type": "text/html", "X-Long": hostile[7][:4000]}})
	e := tn.endpoint(t, r, fields{
		"url": r.url + "/" + strings.Repeat("long", 400) + "?q=%3Cscript%3E", "description": hostile[1] + hostile[2],
		"metadata": fields{"team": hostile[0]},
	})
	id := tn.exhaust(t, 1, fields{"type": "order.confirmed", "data": fields{"texts": hostile, hostile[2]: 1}, "attributes": fields{"shop": hostile[0]}}, 1)[0]
	event := tn.delivery(t, id).EventID
	attempt := tn.attempts(t, id)[0].ID
	tn.call(t, "PUT", tn.path+"/event-types/order.confirmed", fields{"description": hostile[0] + hostile[7][:400], "example": fields{"data": fields{"texts": hostile}}}).is(t, 201, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/disable", fields{"reason": hostile[0]}).is(t, 200, nil)

	p := visit(t, tn.server).signIn(tn.server.group.apiKey)
	for _, path := range []string{
		"", "/endpoints", "/endpoints/" + e.ID, "/endpoints/" + e.ID + "/edit", "/endpoints/" + e.ID + "/test", "/deliveries", "/deliveries/" + id,
		"/deliveries/" + id + "/attempts/" + attempt + "/signature", "/events", "/events/" + event, "/event-types", "/event-types/order.confirmed",
		"/publish?type=order.confirmed", "/audit", "/settings",
	} {
		for _, width := range []int64{1280, 390} {
			p.must(p.tab.Look(width, 900, false))
			p.open("/tenants/" + tn.id + path)
			var found struct {
				Title          string
				Inside, Beyond int
			}
			p.run(`({title: document.title, inside: document.querySelectorAll("main script, main img, main base, main b[onclick], main animate").length,
				beyond: document.documentElement.scrollWidth - innerWidth})`, &found)
			require.NotEqual(t, "taken", found.Title, path)
			require.Zero(t, found.Inside, path)
			if found.Beyond > 0 {
				t.Errorf("%s is %d pixels wider than a window of %d", path, found.Beyond, width)
			}
		}
	}
	p.open("/tenants/" + tn.id + "/deliveries/" + id)
	p.see(`<script>document.title = "taken"</script>`, `<svg onload=`)
	require.NotContains(t, p.text("main"), "\x1b")
	require.NotContains(t, p.text("main"), "\u202e")
}
