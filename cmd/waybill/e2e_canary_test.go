package main_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Secrets are planted everywhere that takes one, used on every way that there is, with success and without, and searched for wherever
// they could come out.
func TestCanary(t *testing.T) {
	t.Parallel()
	c := newCanaryStory(t)
	c.makeKeys(t)
	c.makeEndpoints(t)
	c.deliver(t)
	c.mail(t)
	c.refuseProxy(t)
	c.loseDatabase(t)
	c.misconfigure(t)
	for what, secret := range c.planted {
		require.GreaterOrEqual(t, len(secret), 16, what)
	}
	c.search(t)
}

// search looks through all places.
func (c *canaryStory) search(t *testing.T) {
	t.Helper()
	g, s, payload := c.group, c.server, c.payload
	both := maps.Clone(c.planted)
	maps.Copy(both, payload)
	for _, m := range c.inbox.Mails() {
		both.absent(t, "a mail", string(m.Raw)+m.Text+m.HTML)
	}
	c.searchAnswers(t)
	both.absent(t, "the metrics", string(s.admin().call(t, "GET", "/metrics", nil).body))
	g.searchHistories(t, both)

	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.process.Pid))
	require.NoError(t, err)
	both.absent(t, "the process's arguments", string(arguments))
	dump, err := exec.CommandContext(t.Context(), "pg_dump", "--schema", g.schema, "--dbname", g.ownerURL).CombinedOutput()
	require.NoError(t, err, "%s", dump[:min(len(dump), 2000)])
	require.Contains(t, string(dump), hex.EncodeToString([]byte(payload["the payload"])), "the dump has the event's bytes, and the search would find them")
	require.Contains(t, string(dump), hex.EncodeToString([]byte("you sent Basic [redacted]")), "the dump has the answers that repeat secrets")
	c.planted.absent(t, "the dump of the database", string(dump))
	s.stop(t)
	both.absent(t, "the log", s.read())
}

// searchAnswers asks for what may be shown and for what is refused, with secrets in the question.
func (c *canaryStory) searchAnswers(t *testing.T) {
	t.Helper()
	holder, planted := c.holder, c.planted
	for _, path := range []string{"", "/endpoints", "/keys", "/deliveries", "/events", "/events/none", "/recoveries"} {
		planted.absent(t, "GET "+path, string(holder.call(t, "GET", holder.path+path+"?limit=1x", nil).body))
	}
	planted.absent(t, "the list of keys", string(holder.call(t, "GET", holder.path+"/keys", nil).body))
	for kind, e := range c.endpoints {
		for _, path := range holder.views(t, e) {
			who := c.reader
			if strings.HasSuffix(path, "/audit") {
				who = holder
			}
			a := who.call(t, "GET", path, nil)
			require.Equal(t, 200, a.status, path)
			planted.absent(t, "GET "+path+" of the endpoint with "+kind, string(a.body))
		}
	}
	header, password, pem := planted["a header's value"], planted["a basic password"], c.certificate
	for what, body := range map[string]any{
		"no JSON":                          `{"headers":{"X-Api-Key":"` + header + `"`,
		"a wrong type":                     fields{"headers": []string{header}},
		"a reserved name":                  fields{"headers": map[string]string{"Content-Type": header}},
		"an unknown field":                 fields{"password": header},
		"credentials as text":              fields{"auth": password},
		"a number of credentials":          `{"auth":{"type":"basic","password":["` + password + `"]}}`,
		"a password as the type":           fields{"auth": fields{"type": password}},
		"a field of another type":          fields{"auth": fields{"type": "basic", "token": password}},
		"an unknown field of auth":         fields{"auth": fields{"type": "basic", password: "x"}},
		"a password in the token's URL":    fields{"auth": fields{"type": "oauth2", "token_url": "https://u:" + password + "@127.0.0.1/", "client_id": "c", "client_secret": password}},
		"a password in the URL":            fields{"url": "https://u:" + password + "@127.0.0.1/"},
		"a token with a space":             fields{"auth": fields{"type": "bearer", "token": "Bearer " + password}},
		"a password with a line break":     fields{"auth": fields{"type": "basic", "username": "u", "password": password + "\n"}},
		"a key in the certificate's place": fields{"auth": fields{"type": "mtls", "certificate": pem["key"], "key": pem["key"]}},
		"a key that is cut":                fields{"auth": fields{"type": "mtls", "certificate": pem["certificate"], "key": pem["key"].(string)[:150]}},
		"another host":                     fields{"url": "https://127.0.0.2:9/"},
	} {
		a := holder.call(t, "PATCH", holder.path+"/endpoints/"+c.endpoints["basic"], body)
		require.Contains(t, []int{400, 422}, a.status, "%s: %s", what, a.body)
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
