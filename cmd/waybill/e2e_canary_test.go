package main_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/scripts/inbox"
)

// canaries are secrets that a test planted, by what they are.
type canaries map[string]string

// forms are how a secret could be shown: as it is, and as the usual encodings of it, or of the bytes that it encodes.
func forms(secret string) []string {
	out := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))}
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")); err == nil && len(raw) >= 16 {
		out = append(out, string(raw), hex.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw), strings.TrimPrefix(secret, "whsec_"))
	}
	return out
}

// absent requires that no planted secret is in a text, in any form.
func (c canaries) absent(t *testing.T, place, text string) {
	t.Helper()
	require.NotEmpty(t, text, "%s: there is nothing to search", place)
	for what, secret := range c {
		for _, form := range forms(secret) {
			if strings.Contains(text, form) { // the text is not printed: it has the secret
				t.Errorf("%s shows %s", place, what)
			}
		}
	}
}

// Secrets are planted everywhere that takes one, used on every way that there is, and searched for wherever they could come out.
func TestCanary(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	mail := newInbox(t, inbox.Options{})
	s := g.own(t, "serve", smtpEnv(mail.Port())...)
	tn := mailTenant(t, s, "tradly")
	planted := canaries{"the administrator's key": g.apiKey, "the encryption key": strings.TrimPrefix(g.keys, "k1:"), "a header's value": "canary-header-4711-8642", "a bearer token": "canary-token-9753-1357"}
	payload := canaries{"the payload": "canary-payload-1234-5678"}
	g.secrets.add(planted["a header's value"], planted["a bearer token"], payload["the payload"])

	own := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{}}})
	r := newReceiver(t, reply{status: 500, body: "canary-answer"})
	var e struct{ ID, Secret string }
	own.call(t, "POST", own.path+"/endpoints", fields{
		"url": r.url, "event_types": []string{"*"}, "headers": map[string]string{"X-Api-Key": planted["a header's value"]},
		"auth": fields{"type": "bearer", "token": planted["a bearer token"]},
	}, "Idempotency-Key", "one").is(t, 201, &e)
	planted["the endpoint's secret"] = e.Secret
	var key struct{ ID, Key string }
	own.call(t, "POST", own.path+"/keys", fields{"name": "k", "scopes": []string{"manage", "publish", "read"}}, "Idempotency-Key", "two").is(t, 201, &key)
	planted["a tenant's key"] = key.Key
	var rotated struct{ ID, Key string }
	own.call(t, "POST", own.path+"/keys/"+key.ID+"/rotate", nil, "Idempotency-Key", "three").is(t, 201, &rotated)
	planted["a key that was rotated"] = rotated.Key
	tn.endpoint(t, newReceiver(t, reply{status: 500}), nil)
	var shared struct{ Secret string }
	vine := newTenant(t, s, "tradevine", nil)
	vine.call(t, "GET", vine.path+"/secret", nil).is(t, 200, &shared)
	planted["the tenant's secret"] = shared.Secret
	for what, secret := range planted {
		require.GreaterOrEqual(t, len(secret), 16, what)
	}

	holder := *own
	holder.caller = &caller{s, rotated.Key}
	event := fields{"type": "order.confirmed", "data": fields{"note": payload["the payload"]}}
	sent := holder.publish(t, event, 1)
	own.waitDelivery(t, sent.Deliveries[0].ID, "exhausted", 1)
	told := tn.publish(t, event, 1)
	tn.waitDelivery(t, told.Deliveries[0].ID, "exhausted", 1)
	holder.call(t, "GET", own.path+"/endpoints/"+e.ID+"/secret", nil).is(t, 200, nil)
	holder.call(t, "POST", own.path+"/endpoints/"+e.ID+"/disable", fields{"reason": "canary"}).is(t, 200, nil)

	for _, m := range waitMails(t, mail, 1) {
		planted.absent(t, "a mail", string(m.Raw)+m.Text+m.HTML)
		payload.absent(t, "a mail", string(m.Raw)+m.Text+m.HTML)
	}
	g.searchAnswers(t, &holder, e.ID, planted)
	metrics := s.admin().call(t, "GET", "/metrics", nil)
	planted.absent(t, "the metrics", string(metrics.body))
	payload.absent(t, "the metrics", string(metrics.body))
	g.searchHistories(t, planted, payload)

	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.process.Pid))
	require.NoError(t, err)
	planted.absent(t, "the process's arguments", string(arguments))
	dump, err := exec.CommandContext(t.Context(), "pg_dump", "--schema", g.schema, "--dbname", g.ownerURL).CombinedOutput()
	require.NoError(t, err, "%s", dump[:min(len(dump), 2000)])
	require.Contains(t, string(dump), forms(payload["the payload"])[1], "the dump has the event's bytes, and the search would find them")
	planted.absent(t, "the dump of the database", string(dump))
	s.stop(t)
	planted.absent(t, "the log", s.read())
	payload.absent(t, "the log", s.read())
}

// searchAnswers asks for what may be shown and for what is refused, with secrets in the question.
func (g *group) searchAnswers(t *testing.T, holder *tenant, endpoint string, planted canaries) {
	t.Helper()
	for _, path := range []string{"", "/endpoints", "/keys", "/deliveries", "/events", "/events/none", "/recoveries"} {
		planted.absent(t, "GET "+path, string(holder.call(t, "GET", holder.path+path+"?limit=1x", nil).body))
	}
	planted.absent(t, "the list of keys", string(holder.call(t, "GET", holder.path+"/keys", nil).body))
	for what, body := range map[string]any{
		"no JSON":          `{"headers":{"X-Api-Key":"` + planted["a header's value"] + `"`,
		"a wrong type":     fields{"headers": []string{planted["a header's value"]}},
		"a reserved name":  fields{"headers": map[string]string{"Content-Type": planted["a header's value"]}},
		"an unknown field": fields{"password": planted["a header's value"]},
	} {
		a := holder.call(t, "PATCH", holder.path+"/endpoints/"+endpoint, body)
		require.Contains(t, []int{400, 422}, a.status, what)
		planted.absent(t, "the answer to "+what, string(a.body))
	}
	stranger := &caller{holder.server, planted["the administrator's key"] + "x"}
	planted.absent(t, "the answer to a wrong key", string(stranger.call(t, "GET", holder.path, nil).body))
}

// searchHistories looks through every history of the group's namespace, with its payloads decoded.
func (g *group) searchHistories(t *testing.T, of ...canaries) {
	t.Helper()
	o := newOperator(t, g)
	seen := 0
	await(t, patience, "the workflows to be listed", func() error {
		if list := strings.Fields(o.run(t, "workflow", "list", "--output", "jsonl")); len(list) < 2 {
			return fmt.Errorf("only %d are", len(list))
		}
		return nil
	})
	for line := range strings.Lines(o.run(t, "workflow", "list", "--output", "jsonl")) {
		var w struct {
			Execution struct{ WorkflowID, RunID string }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &w))
		for _, format := range [][]string{{"--output", "json"}, {"--output", "json", "--no-json-shorthand-payloads"}} {
			history := o.run(t, append([]string{"workflow", "show", "--workflow-id", w.Execution.WorkflowID, "--run-id", w.Execution.RunID}, format...)...)
			for _, c := range of {
				c.absent(t, "the history of "+w.Execution.WorkflowID, history)
			}
		}
		seen++
	}
	require.GreaterOrEqual(t, seen, 2)
}
