package main_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// sampleCase is what the samples of a dialect are tried with.
type sampleCase struct {
	dialect string
	// event is a publication, with numbers and letters that a parser and a writer of JSON would change.
	event string
	// signatures are the headers without which nothing may be accepted.
	signatures []string
	// timed says that the requests have a timestamp; lists that a header has two signatures while the secret is replaced.
	timed, lists bool
}

// changing is data that does not survive being parsed and written again, in any of the languages.
const changing = `"total":49.90, "rate":1e2, "serial":12345678901234567890, "note":"caf\u00e9 é 😀 <&>"`

var sampleCases = []sampleCase{
	{"standard", `{"type":"order.confirmed","data":{` + changing + `}}`, []string{"webhook-signature", "webhook-id", "webhook-timestamp"}, true, true},
	{"rheo", `{"type":"item.sold","data":{"externalId":"é 😀","rheoItemId":"R","platform":"tradera","salePrice":1100.50,"currency":"SEK",` +
		`"traderaAdId":"1",` + changing + `}}`, []string{"X-Rheo-Signature"}, false, false},
	{"tradly", `{"type":"order.confirmed","data":{` + changing + `}}`, []string{"X-Tradly-Signature", "webhook-signature", "webhook-timestamp"}, true, true},
	{"tradevine", `{"type":"product.updated","data":{` + changing + `}}`, []string{"X-Tradevine-Hmac-SHA256"}, false, false},
	{"auction-excellence", `{"type":"message.created","data":{` + changing + `},"attributes":{"auction_id":"9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13"}}`,
		[]string{"X-Webhook-Signature", "X-Webhook-Timestamp"}, true, false},
}

// Every sample of docs/receiving accepts what Waybill sends, handles it once, refuses what was changed or is too old, and goes over to
// another secret without missing an event.
func TestSamples(t *testing.T) {
	t.Parallel()
	for _, c := range sampleCases {
		for _, language := range []string{"node", "python", "go"} {
			t.Run(language+"/"+c.dialect, func(t *testing.T) {
				t.Parallel()
				c.try(t, func() *exec.Cmd { return sampleCommand(t, language, c.dialect) })
			})
		}
	}
	t.Run("node/standard-package", func(t *testing.T) {
		t.Parallel()
		sampleCases[0].try(t, func() *exec.Cmd { return packageCommand(t, "standard-package") })
	})
}

// try goes through the life of a receiver.
func (c *sampleCase) try(t *testing.T, program func() *exec.Cmd) {
	t.Helper()
	requireNeedsSecret(t, program())
	secret, next := bringSecret(), bringSecret()
	s := startSample(t, program(), secret, next)
	tn, e := c.subscribe(t, shared(t), s, secret)
	tn.server.group.secrets.add(next)

	delivery := tn.publish(t, c.event, 1).Deliveries[0].ID
	tn.waitDelivery(t, delivery, "delivered", 1)
	s.requireHandled(t, 1)
	tn.call(t, "POST", tn.path+"/deliveries/"+delivery+"/retry", nil).is(t, 202, nil)
	tn.waitDelivery(t, delivery, "delivered", 2)

	got := s.wait(t, 2)[1]
	require.Contains(t, string(got.body), "49.90", "what may not change")
	changed := [][]byte{bytes.Replace(got.body, []byte("49.90"), []byte("49.91"), 1), bytes.Replace(got.body, []byte("49.90"), []byte("49.9"), 1), append([]byte(" "), got.body...), nil}
	for _, body := range changed {
		s.requireRefused(t, "another body", got.header, body)
	}
	for _, name := range c.signatures {
		wrong := got.header.Clone()
		wrong.Del(name)
		s.requireRefused(t, "no "+name, wrong, got.body)
		wrong.Set(name, "1")
		s.requireRefused(t, "a wrong "+name, wrong, got.body)
	}

	// The receiver of standard knows one secret, and the header lists the signatures of both. The others know the next one beforehand.
	path := tn.path + "/endpoints/" + e.ID
	if c.dialect == "tradevine" {
		path = tn.path
	}
	tn.rotate(t, path, fields{"secret": next, "overlap": "1h"})
	tn.waitDelivery(t, tn.publish(t, c.event, 1).Deliveries[0].ID, "delivered", 1)
	both := s.wait(t, 3)[2]
	if c.lists {
		require.Len(t, strings.Fields(both.header.Get("webhook-signature")), 2)
	}
	status, text := startSample(t, program(), next).send(both.header, both.body)
	require.Equal(t, http.StatusOK, status, text)
	if c.timed {
		c.tryOld(t, s, secret)
	}
	s.requireHandled(t, 2)
}

// subscribe makes a tenant and an endpoint with a secret that their receiver has already.
func (c *sampleCase) subscribe(t *testing.T, by *server, s *sample, secret string) (*tenant, *endpoint) {
	t.Helper()
	by.group.secrets.add(secret)
	if c.dialect == "tradevine" {
		tn := newTenant(t, by, c.dialect, fields{"secret": secret})
		return tn, tn.endpoint(t, s.receiver, fields{"event_types": []string{"product.updated"}})
	}
	tn := newTenant(t, by, c.dialect, nil)
	return tn, tn.endpoint(t, s.receiver, fields{"secret": secret})
}

func bringSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString(random(24)) }

// lateServer is a Waybill whose clock is an hour behind, so that what it sends is signed with a time long past.
var lateServer = sync.OnceValues(func() (*server, error) {
	g, err := newGroup(groupOptions{})
	if err != nil {
		return nil, err
	}
	ending.add(g.close)
	return g.start("serve", "WAYBILL_FAILPOINTS=clock=-1h")
})

// tryOld has a request arrive that is signed in order and an hour old.
func (c *sampleCase) tryOld(t *testing.T, s *sample, secret string) {
	t.Helper()
	late, err := lateServer()
	require.NoError(t, err)
	tn, _ := c.subscribe(t, late, s, secret)
	delivery := tn.publish(t, c.event, 1).Deliveries[0].ID
	await(t, patience, "the attempt", func() error {
		if len(tn.attempts(t, delivery)) == 0 {
			return errors.New("none is in the log")
		}
		return nil
	})
	refused := tn.attempts(t, delivery)[0]
	require.Equal(t, http.StatusUnauthorized, refused.StatusCode)
	require.Regexp(t, "(?i)time|old", refused.ResponseBody, "the sender's log says why")
}

// The commonest mistake: a receiver that verifies what it makes of the parsed body accepts simple bodies, and refuses others.
func TestSamples_Reserialized(t *testing.T) {
	t.Parallel()
	const simple = `{"type":"order.confirmed","data":{"note":"plain","order":1001}}`
	refused := map[string][]string{
		"node":   {`{"total":49.90}`, `{"serial":12345678901234567890}`, `{"note":"caf\u00e9"}`, `{"rate":1e2}`, `{"a": 1}`, `{"b":1,"1":2}`},
		"python": {`{"note":"é 😀"}`, `{"rate":1e2}`, `{"a": 1}`, `{"total":49.90}`},
		"go":     {`{"b":1,"a":2}`, `{"note":"<&>"}`, `{"serial":12345678901234567890}`, `{"a": 1}`, `{"total":49.90}`},
	}
	for language, bodies := range refused {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			secret := bringSecret()
			s := startSample(t, sampleCommand(t, language, "reserialized"), secret)
			right := startSample(t, sampleCommand(t, language, "standard"), secret)
			tn, _ := sampleCases[0].subscribe(t, shared(t), s, secret)
			tn.waitDelivery(t, tn.publish(t, simple, 1).Deliveries[0].ID, "delivered", 1)
			for i, data := range bodies {
				tn.publish(t, `{"type":"order.confirmed","data":`+data+`}`, 1)
				got := s.wait(t, 2+i)[1+i]
				require.Contains(t, string(got.body), data)
				s.requireRefused(t, data, got.header, got.body)
				status, text := right.send(got.header, got.body)
				require.Equal(t, http.StatusOK, status, "%s: %s", data, text)
			}
			s.requireHandled(t, 1)
		})
	}
}
