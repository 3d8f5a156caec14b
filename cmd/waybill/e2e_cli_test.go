package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shellUser uses the built command as a person does who has a key.
type shellUser struct {
	server *server
	home   string
}

func (s *server) shellUser(t *testing.T) *shellUser { return &shellUser{s, t.TempDir()} }

// said is what a command wrote, and how it ended.
type said struct {
	code          int
	out, messages string
}

// runs runs a command to its end; in is its standard input.
func (p *shellUser) runs(t *testing.T, in string, args ...string) said {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.server.group.binary, args...)
	cmd.Env = []string{"HOME=" + p.home, "WAYBILL_URL=http://" + p.server.address, "WAYBILL_KEY=" + p.server.group.apiKey}
	var out, messages strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &messages
	_ = cmd.Run() // the exit code says it
	require.NotNil(t, cmd.ProcessState, "%q did not run", args)
	return said{cmd.ProcessState.ExitCode(), out.String(), messages.String()}
}

// does runs a command that succeeds, and reads its JSON into v.
func (p *shellUser) does(t *testing.T, v any, args ...string) {
	t.Helper()
	s := p.runs(t, "", append(args, "-o", "json")...)
	require.Zero(t, s.code, "%q: %s", args, s.messages)
	require.NoError(t, json.Unmarshal([]byte(s.out), v), s.out)
}

// A person makes a tenant and an endpoint, publishes, looks at what became of it, and steers it: all with the command.
func TestCLI(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p, r := s.shellUser(t), newReceiver(t, fails(1)...)
	id := unique(t.Name())
	var made struct{ ID, Name string }
	p.does(t, &made, "tenants", "create", id, "--name", "Acme", "--dialect", "standard")
	require.Equal(t, id, made.ID)
	var e struct {
		ID, URL, Secret, Status string
		Metadata                map[string]string
	}
	p.does(t, &e, "endpoints", "create", "--tenant", id, "--to", r.url, "--event-types", "order.*,user.created", "--retry", `{"schedule":["1s"]}`, "--metadata", "team=a,tier=gold")
	require.NotEmpty(t, e.Secret)
	require.Equal(t, map[string]string{"team": "a", "tier": "gold"}, e.Metadata)

	event := unique("order")
	done := p.runs(t, `{"total": 1.50, "n": 12345678901234567890}`, "publish", "--tenant", id, "--type", "order.confirmed", "--id", event, "--data", "-", "--wait")
	require.Zero(t, done.code, done.messages)
	require.Regexp(t, `(?m)^ID +STATUS +EVENT`, done.out)
	require.Regexp(t, `(?m)^dlv_\S+ +delivered +`+event+` +order.confirmed +`+e.ID+` +2 +200`, done.out)
	require.Contains(t, string(r.got()[0].body), `{"total":1.50,"n":12345678901234567890}`, "numbers arrive as they were written")
	again := p.runs(t, "", "publish", "--tenant", id, "--type", "order.confirmed", "--id", event, "--data", `{"total": 1.50, "n": 12345678901234567890}`)
	require.Zero(t, again.code, again.messages)
	require.Contains(t, again.messages, "It had been published before")
	require.Contains(t, again.out, event+" is published, with 1 delivery.\ndlv_")
	nobody := p.runs(t, "", "publish", "--tenant", id, "--type", "invoice.paid", "--data", "1")
	require.Contains(t, nobody.out, "Nobody gets it: 1 endpoint does not subscribe to its type")

	history := p.runs(t, "", "events", "history", event, "--tenant", id)
	require.Regexp(t, `(?s)is delivered\n  1 .* 500 +retryable .*\n  2 .* 200 +delivered`, history.out)
	var deliveries []struct{ ID, Status string }
	p.does(t, &deliveries, "deliveries", "list", "--tenant", id, "--status", "delivered", "--since", "1h")
	require.Len(t, deliveries, 1)
	attempts := p.runs(t, "", "deliveries", "attempts", deliveries[0].ID, "--tenant", id, "-o", "wide")
	require.Regexp(t, `(?m)^NUMBER .*ANSWER$`, strings.TrimSpace(attempts.out))
	var data struct {
		Data json.RawMessage `json:"data"`
	}
	p.does(t, &data, "events", "get", event, "--tenant", id)
	require.JSONEq(t, `{"total": 1.50, "n": 12345678901234567890}`, string(data.Data))

	p.does(t, &e, "endpoints", "disable", e.ID, "--tenant", id, "--reason", "they asked")
	require.Equal(t, "disabled", e.Status)
	require.Contains(t, p.runs(t, "", "endpoints", "list", "--tenant", id, "--status", "disabled").out, "they asked")
	p.does(t, &e, "endpoints", "enable", e.ID, "--tenant", id, "--test")
	require.Equal(t, "enabled", e.Status)
	tested := p.runs(t, "", "endpoints", "test", e.ID, "--tenant", id, "--type", "order.confirmed", "--wait")
	require.Zero(t, tested.code, tested.messages)
	require.Regexp(t, `dlv_\S+ +delivered`, tested.out)

	r.answers(reply{status: 400}, reply{status: 400}, reply{})
	failed := p.runs(t, "", "publish", "--tenant", id, "--type", "user.created", "--data", "{}", "--wait")
	require.Equal(t, 1, failed.code, failed.out)
	require.Contains(t, failed.messages, "1 delivery is not delivered")
	require.Contains(t, p.runs(t, "", "recoveries", "create", "--tenant", id, "--endpoint", e.ID, "--since", "1h", "--dry-run").out, "WOULD BE SENT  1")
	var recovery struct {
		Status          string
		Sent, Delivered int
	}
	p.does(t, &recovery, "recoveries", "create", "--tenant", id, "--endpoint", e.ID, "--since", "1h", "--wait")
	require.Equal(t, "completed", recovery.Status)
	require.Equal(t, 1, recovery.Delivered)
	require.Contains(t, p.runs(t, "", "endpoints", "stats", e.ID, "--tenant", id).out, "DELIVERED")

	var key struct{ ID, Key string }
	p.does(t, &key, "keys", "create", "--tenant", id, "--name", "backend", "--scopes", "read", "--expires", "24h")
	s.group.secrets.add(key.Key)
	require.NotContains(t, p.runs(t, "", "keys", "list", "--tenant", id, "-o", "wide").out, key.Key)
	file := filepath.Join(p.home, "key")
	require.NoError(t, os.WriteFile(file, []byte(key.Key+"\n"), 0o600))
	own := p.runs(t, "", "events", "list", "--key-file", file)
	require.Zero(t, own.code, "a key of a tenant needs no --tenant: %s", own.messages)
	require.Contains(t, own.out, event)
	refused := p.runs(t, "", "endpoints", "delete", e.ID, "--yes", "--key-file", file)
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.messages, "forbidden")
	require.Contains(t, p.runs(t, "", "keys", "delete", key.ID, "--tenant", id).out, "is revoked.")

	kept := p.runs(t, "", "endpoints", "delete", e.ID, "--tenant", id)
	require.Equal(t, 2, kept.code)
	require.Contains(t, kept.messages, "say --yes")
	require.Zero(t, p.runs(t, "", "endpoints", "delete", e.ID, "--tenant", id, "--yes").code)
	// TestAwait has --wait, which takes minutes here.
	erased := p.runs(t, "", "tenants", "delete", id, "--yes")
	require.Zero(t, erased.code, erased.messages)
	require.Equal(t, 1, p.runs(t, "", "tenants", "get", id).code)
}

// A long list comes in pages: some by default, all on request, each once.
func TestCLI_Pages(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	p := tn.server.shellUser(t)
	var lines strings.Builder
	for n := range 230 {
		fmt.Fprintf(&lines, `{"type":"order.confirmed","id":"order-%03d","data":%d}`+"\n", n, n)
	}
	done := p.runs(t, lines.String(), "batch", "--tenant", tn.id)
	require.Equal(t, "230 published, 0 had been before, 0 failed.\n", done.out, done.messages)
	some := p.runs(t, "", "events", "list", "--tenant", tn.id, "--limit", "7")
	require.Equal(t, 8, strings.Count(some.out, "\n"))
	require.Contains(t, some.messages, "There are more than 7")
	var all []struct{ ID string }
	p.does(t, &all, "events", "list", "--tenant", tn.id, "--all")
	seen := map[string]bool{}
	for _, e := range all {
		seen[e.ID] = true
	}
	require.Len(t, all, 230)
	require.Len(t, seen, 230)
}

// Run again with the same input, a batch publishes nothing twice, also of lines without an id; a bad line is told and stops no other.
func TestCLI_Batch(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	p := tn.server.shellUser(t)
	input := `{"type":"order.confirmed","data":{"n":1},"id":"order-1"}
{"type":"order.confirmed","data":{"n":2}}

{"type":"order.confirmed","data":{"n":2}}
{"type":"order.confirmed","data":
{"type":"order.confirmed","data":1,"priority":3}
{"type":"order confirmed","data":{}}
{"type":"order.canceled","data":{"n":3}}`
	first := p.runs(t, input, "batch", "--tenant", tn.id)
	require.Equal(t, 1, first.code)
	require.Equal(t, "4 published, 0 had been before, 3 failed.\n", first.out)
	for _, line := range []string{"line 5: not an event", "line 6: not an event: unknown field \"priority\"", "line 7: ", "waybill: 3 lines are not published"} {
		require.Contains(t, first.messages, line)
	}
	again := p.runs(t, input, "batch", "--tenant", tn.id)
	require.Equal(t, "0 published, 4 had been before, 3 failed.\n", again.out)
	require.Equal(t, 4, tn.server.group.count(t, "events", tn.id))
	fresh := p.runs(t, input, "batch", "--tenant", tn.id, "--new-ids")
	require.Equal(t, "3 published, 1 had been before, 3 failed.\n", fresh.out)

	changed := p.runs(t, `{"type":"order.confirmed","data":{"n":9},"id":"order-1"}`, "batch", "--tenant", tn.id, "-o", "json")
	require.Equal(t, 1, changed.code)
	require.JSONEq(t, `{"published":0,"published_before":0,"failed":1}`, changed.out)
	require.Contains(t, changed.messages, "event_id_conflict")
}
