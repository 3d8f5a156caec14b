package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"waybill/client"
)

// visit calls do with each command that runs, at any depth.
func visit(all []*cobra.Command, do func(*cobra.Command)) {
	for _, c := range all {
		do(c)
		visit(c.Commands(), do)
	}
}

// Every command says in short and at length what it does, and shows how; each flag says what it is.
func TestCommands_AreExplained(t *testing.T) {
	t.Parallel()
	visit(Commands(Env{}), func(c *cobra.Command) {
		require.NotEmpty(t, c.Short, c.CommandPath())
		require.NotEmpty(t, c.Long, c.CommandPath())
		require.Regexp(t, `^  `, c.Example, c.CommandPath())
		for line := range strings.Lines(c.Example) {
			require.LessOrEqual(t, len(line), 190, c.CommandPath())
			require.True(t, strings.HasPrefix(line, "  "), c.CommandPath())
		}
		require.NotContains(t, c.Short, ".", "%s: a short text is no sentence", c.CommandPath())
		for _, name := range []string{"key", "api-key", "secret"} {
			if path := c.CommandPath(); name == "secret" && (path == "listen" || path == "verify") {
				// A developer's, of a test perhaps, or a public key; --secret-file is there for one that others must not see.
				require.NotNil(t, c.Flags().Lookup("secret-file"), c.CommandPath())
				continue
			}
			require.Nil(t, c.Flags().Lookup(name), "%s: a secret is no flag", c.CommandPath())
		}
	})
}

// No flag takes the place of one from above, such as --url of all commands.
func TestCommands_Flags(t *testing.T) {
	t.Parallel()
	visit(Commands(Env{}), func(c *cobra.Command) {
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			for up := c.Parent(); up != nil; up = up.Parent() {
				require.Nil(t, up.PersistentFlags().Lookup(f.Name), "%s --%s hides the flag of the same name of %s", c.CommandPath(), f.Name, up.CommandPath())
			}
		})
	})
}

// What is wrong with a call is found before anything is asked of the server, or at the latest before anything is changed.
func TestCommands_WrongCalls(t *testing.T) {
	t.Parallel()
	changed := make(chan string, 100)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { changed <- r.Method + " " + r.URL.Path }))
	t.Cleanup(api.Close)
	p := newPerson(t, "WAYBILL_URL="+api.URL, "WAYBILL_KEY=k")
	for _, c := range []struct{ call, says string }{
		{"publish --tenant a --data {}", "--type is missing"},
		{"publish --tenant a --type x.y", "--data is missing"},
		{"publish --tenant a --type x.y --data {a}", "--data is not JSON, at byte 2"},
		{"publish --tenant a --type x.y --data @/no/such/file", "no such file"},
		{"publish --tenant a --type x.y --data 1 --json [1]", "--json is no JSON object"},
		{"publish --tenant a --type x.y --data 1 --occurred-at yesterday", "the request: "},
		{"publish --tenant a --type x.y --data 1 --json null", "--json is no JSON object: it is null"},
		{`endpoints create --tenant a --json {"urll":"x"}`, `unknown field "urll"`},
		{"endpoints get", "ENDPOINT is missing: waybill endpoints get ENDPOINT"},
		{"endpoints get a b --tenant a", `unexpected argument "b"`},
		{"endpoints delete ep_1 --tenant a", "say --yes"},
		{"endpoints", "which command of waybill endpoints?"},
		{"endpoints lst", `there is no command "endpoints lst", did you mean list?`},
		{"events list --tenant a --since tomorrow", "--since is a time"},
		{"events list --tenant a --limit 0", "--limit is 1 or more"},
		{"events list --tenant a -o yaml", "it is one of table, wide, json"},
		{"tenants delete a", "say --yes"},
		{"tenants list --key hush", "a key is no flag"},
		{"tenants list -key=hush", "a key is no flag"},
		{"tenants list --api-key=hush", "a key is no flag"},
		{"keys create --tenant a --name k --expires never", "--expires is a time"},
		{"recoveries create --tenant a", "--endpoint is missing"},
		{"tenants update a", "nothing is to change"},
		{"endpoints update ep_1 --tenant a --json {}", "nothing is to change"},
		{"listen --tenant a --forward-to http://127.0.0.1:1 --types order.*,order..x", `not "order..x"`},
		{"listen --tenant a --forward-to http://127.0.0.1:1 --types ,", `not ""`},
	} {
		r := p.run(t, "", strings.Fields(c.call)...)
		require.Equal(t, ExitUsage, r.code, "%s: %s", c.call, r.messages)
		require.Contains(t, r.messages, c.says, c.call)
		require.NotContains(t, r.messages, "hush")
	}
	require.Empty(t, changed)
}

// What a receiver answered reaches no terminal as it is.
func TestCommands_CleanTheServersText(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, map[string]string{
		"GET /v1/tenants/a/deliveries": `{"data":[{"id":"dlv_1","status":"retrying","event_id":"e","event_type":"x.y","endpoint_id":"ep","attempts":1,"test":false,
			"created_at":"2026-05-27T14:32:00Z","updated_at":"2026-05-27T14:32:00Z",
			"last_attempt":{"number":1,"started_at":"2026-05-27T14:32:00Z","duration_ms":1,"error":"\u001b]0;owned\u0007\u001b[2J\u009b31m\nnext"}}]}`,
	})
	p := newPerson(t, "WAYBILL_URL="+api.URL, "WAYBILL_KEY=k")
	for _, format := range []string{"table", "wide", "json"} {
		r := p.run(t, "", "deliveries", "list", "--tenant", "a", "-o", format)
		require.Zero(t, r.code, r.messages)
		require.Contains(t, r.out, "owned")
		require.NotContains(t, r.out, "\x1b")
		require.NotContains(t, r.out, "\u009b")
		require.NotContains(t, r.out, "\x07")
	}
	refused := p.run(t, "", "tenants", "get", "a")
	require.Equal(t, ExitFailed, refused.code)
	require.Contains(t, refused.messages, "see WAYBILL_KEY and 'waybill profiles list'")
}

// Of a list that fails, nothing looks as if it were the whole list.
func TestCommands_ListThatFails(t *testing.T) {
	t.Parallel()
	pages := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" && pages > 0 {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"data":[{"id":"acme","name":"Acme","dialect":"standard","created_at":"2026-05-27T14:32:00Z"}],"next_cursor":"2"}`))
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"type":"about:blank","title":"Forbidden","status":403,"detail":"this needs the admin key","code":"forbidden"}`))
	}))
	t.Cleanup(api.Close)
	p := newPerson(t, "WAYBILL_URL="+api.URL, "WAYBILL_KEY=k")
	for _, format := range []string{"table", "wide", "json"} {
		pages = 0
		r := p.run(t, "", "tenants", "list", "--all", "-o", format)
		require.Equal(t, ExitFailed, r.code)
		require.Empty(t, r.out, "the first page failed")
		pages = 1
		r = p.run(t, "", "tenants", "list", "--all", "-o", format)
		require.Equal(t, ExitFailed, r.code)
		require.Contains(t, r.messages, "this needs the admin key")
		require.Contains(t, r.out, "acme")
		require.False(t, json.Valid([]byte(r.out)), "half a list is no JSON")
	}
}

// The reasons why nobody gets an event are said where there are some.
func TestNobody(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Nobody gets it: the tenant has no endpoints.", nobody(&client.RuledOut{}))
	require.Equal(t, "Nobody gets it: 1 endpoint does not subscribe to its type.", nobody(&client.RuledOut{ByType: 1}))
	require.Equal(t, "Nobody gets it: 2 endpoints do not subscribe to its type, and 1 endpoint has a filter that does not let it through.", nobody(&client.RuledOut{ByType: 2, ByFilter: 1}))
}

// A tenant's key needs no --tenant; an administrator's does.
func TestCommands_Tenant(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, map[string]string{
		"GET /v1/session":          `{"actor":"key_1","kind":"key","scopes":["read"],"tenant":"own"}`,
		"GET /v1/tenants/own/keys": `{"data":[]}`,
	})
	r := newPerson(t, "WAYBILL_URL="+api.URL, "WAYBILL_KEY=k").run(t, "", "keys", "list", "-o", "json")
	require.Zero(t, r.code, r.messages)
	require.Equal(t, "[]\n", r.out)
	admin := newFakeAPI(t, map[string]string{"GET /v1/session": adminSession})
	r = newPerson(t, "WAYBILL_URL="+admin.URL, "WAYBILL_KEY=k").run(t, "", "keys", "list")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.messages, "--tenant is missing: the key is an administrator's")
}

// Progress is a line now and then where no person watches.
func TestProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := newProgress(&out)
	for range 1000 {
		p.show("1 of 2")
		p.show("2 of 2")
	}
	p.end()
	require.Equal(t, "1 of 2\n", out.String())
	require.False(t, isTerminal(io.Discard))
}
