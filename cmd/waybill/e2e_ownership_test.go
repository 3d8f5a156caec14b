package main_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hooks "waybill/scripts/receiver"
)

// consenting is a receiver that repeats challenges and allows an origin once it is told to.
type consenting struct {
	url string

	mu     sync.Mutex
	agrees bool
	// demands is the Authorization that it lets nobody through without; "": none.
	demands string
	events  []hooks.Arrival
	// refused are the requests without it.
	refused []hooks.Arrival
}

func newConsenting(t *testing.T) *consenting {
	t.Helper()
	a, err := theAuthority()
	require.NoError(t, err)
	cert, err := a.Certificate()
	require.NoError(t, err)
	c := new(consenting)
	started, err := hooks.Start(t.Context(), hooks.Options{Certificate: &cert, Protocol: hooks.HTTP1, Answer: c.answer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Close()) })
	c.url = started.URL()
	return c
}

func (c *consenting) answer(a *hooks.Arrival) hooks.Behavior {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sent struct{ Type, Challenge string }
	_ = json.Unmarshal(a.Body, &sent)
	switch asked := sent.Type == "waybill.verification" || len(a.Body) == 0; {
	case !asked:
		c.events = append(c.events, *a)
		return hooks.Reply{}.Behavior()
	case c.demands != "" && a.Header.Get("Authorization") != c.demands:
		c.refused = append(c.refused, *a)
		return hooks.Reply{Status: http.StatusUnauthorized}.Behavior()
	case !c.agrees:
		return hooks.Reply{Status: http.StatusNotFound}.Behavior()
	}
	return hooks.Reply{Body: sent.Challenge, Header: map[string]string{
		"WebHook-Allowed-Origin": a.Header.Get("WebHook-Request-Origin"), "WebHook-Allowed-Rate": "600",
	}}.Behavior()
}

func (c *consenting) agree(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agrees = yes
}

func (c *consenting) got() []hooks.Arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]hooks.Arrival(nil), c.events...)
}

func (c *consenting) lastRefused() hooks.Arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[len(c.refused)-1]
}

func (c *consenting) wait(t *testing.T, n int) []hooks.Arrival {
	t.Helper()
	require.Eventually(t, func() bool { return len(c.got()) >= n }, 30*time.Second, 20*time.Millisecond)
	return c.got()
}

// Nothing reaches a URL before its receiver has agreed, by neither method, and everything that was held does afterwards.
func TestOwnership(t *testing.T) {
	t.Parallel()
	for name, verification := range map[string]any{
		"token": nil, "cloudevents": fields{"method": "cloudevents", "origin": "events.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t, shared(t), "standard", fields{"verify_endpoints": true})
			c := newConsenting(t)
			var e endpoint
			tn.call(t, "POST", tn.path+"/endpoints", fields{"url": c.url + "/hook", "event_types": []string{"*"}, "verification": verification}).is(t, 201, &e)
			require.Equal(t, "unverified", e.Status)
			require.Equal(t, "verification", e.Disabled.By)
			path := tn.path + "/endpoints/" + e.ID
			first := tn.publish(t, `{"type":"order.confirmed","data":1}`, 1)
			tn.waitDelivery(t, first.Deliveries[0].ID, "held", 0)
			p := tn.call(t, "POST", path+"/verify", nil).isProblem(t, 409, "conflict")
			require.Contains(t, p.Detail, "the receiver answered 404")
			for _, around := range []string{"/enable", "/test"} {
				tn.call(t, "POST", path+around, nil).isProblem(t, 409, "conflict")
			}
			require.Empty(t, c.got())

			c.agree(true)
			tn.call(t, "POST", path+"/verify", nil).is(t, 200, &e)
			require.Equal(t, "enabled", e.Status)
			tn.waitDelivery(t, first.Deliveries[0].ID, "delivered", 1)
			arrived := c.wait(t, 1)[0]
			if verification != nil {
				require.Equal(t, "events.example.com", arrived.Header.Get("WebHook-Request-Origin"))
			}

			// Another URL has to prove itself anew.
			c.agree(false)
			tn.call(t, "PATCH", path, fields{"url": c.url + "/elsewhere"}).is(t, 200, &e)
			require.Equal(t, "unverified", e.Status)
			second := tn.publish(t, `{"type":"order.canceled","data":2}`, 1)
			tn.waitDelivery(t, second.Deliveries[0].ID, "held", 0)
			tn.call(t, "POST", path+"/enable", nil).isProblem(t, 409, "conflict")
			require.Len(t, c.got(), 1)
			c.agree(true)
			tn.call(t, "POST", path+"/verify", nil).is(t, 200, nil)
			tn.waitDelivery(t, second.Deliveries[0].ID, "delivered", 1)
			c.wait(t, 2)
		})
	}
}

// A URL that nobody has proven yet gets neither the endpoint's credentials nor its headers; a receiver that lets nobody through without
// them passes once the endpoint says so.
func TestOwnership_Credentials(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	c := newConsenting(t)
	c.agree(true)
	c.demands = "Bearer ownership-token-2468"
	tn.server.group.secrets.add("ownership-token-2468", "ownership-header-1357")
	for _, asks := range []fields{{"method": "token"}, {"method": "cloudevents", "origin": "events.example.com"}} {
		var e endpoint
		tn.call(t, "POST", tn.path+"/endpoints", fields{
			"url": c.url + "/hook", "event_types": []string{"*"}, "verification": asks, "headers": fields{"X-Api-Key": "ownership-header-1357"},
			"auth": fields{"type": "bearer", "token": "ownership-token-2468"},
		}).is(t, 201, &e)
		path := tn.path + "/endpoints/" + e.ID
		p := tn.call(t, "POST", path+"/verify", nil).isProblem(t, 409, "conflict")
		require.Contains(t, p.Detail, `the receiver answered 401; a challenge has neither auth nor headers of the endpoint, unless its verification has "credentials": true`)
		asked := c.lastRefused()
		require.Empty(t, asked.Header.Get("Authorization"))
		require.Empty(t, asked.Header.Get("X-Api-Key"))

		tn.call(t, "PATCH", path, fields{"verification": asks.with(fields{"credentials": true})}).is(t, 200, nil)
		tn.call(t, "POST", path+"/verify", nil).is(t, 200, &e)
		require.Equal(t, "enabled", e.Status)
	}
	sent := tn.publish(t, `{"type":"order.confirmed","data":1}`, 2)
	for _, d := range sent.Deliveries {
		tn.waitDelivery(t, d.ID, "delivered", 1)
	}
	for _, a := range c.wait(t, 2) {
		require.Equal(t, c.demands, a.Header.Get("Authorization"))
	}
}
