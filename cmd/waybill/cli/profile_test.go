package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// person runs commands as a person with a home of their own.
type person struct {
	home    string
	environ []string
}

func newPerson(t *testing.T, environ ...string) *person {
	home := t.TempDir()
	return &person{home, append([]string{"HOME=" + home}, environ...)}
}

// result is what a command wrote and how it ended.
type result struct {
	code          int
	out, messages string
	err           error
}

// run runs a command. in is its standard input.
func (p *person) run(t *testing.T, in string, args ...string) result {
	t.Helper()
	return p.runIn(t.Context(), strings.NewReader(in), args...)
}

func (p *person) runIn(ctx context.Context, in io.Reader, args ...string) result {
	var out, messages bytes.Buffer
	root := &cobra.Command{Use: "waybill", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(ExplainFlagError)
	root.SetArgs(append([]string{}, args...))
	root.SetOut(&out)
	root.SetErr(&messages)
	root.AddCommand(Commands(Env{Environ: p.environ, In: in, Out: &out, Err: &messages, Version: "v1"})...)
	err := root.ExecuteContext(ctx)
	if err != nil {
		messages.WriteString(err.Error())
	}
	return result{ExitCode(err), out.String(), messages.String(), err}
}

// fakeAPI answers as an administrator's API with what is asked for by method and path, and notes who asked for what.
type fakeAPI struct {
	*httptest.Server
	answers map[string]string
	asked   chan *http.Request
}

func newFakeAPI(t *testing.T, answers map[string]string) *fakeAPI {
	f := &fakeAPI{answers: answers, asked: make(chan *http.Request, 100)}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked <- r
		answer, ok := answers[r.Method+" "+r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			answer = `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"the key is not known","code":"unauthorized","request_id":"r1"}`
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(f.Close)
	return f
}

const adminSession = `{"actor":"admin","kind":"key","scopes":["admin"]}`

// A profile is kept for its owner alone, used by default, and never shows its key.
func TestProfiles(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, map[string]string{"GET /v1/session": adminSession})
	p := newPerson(t)
	r := p.run(t, "hush-hush\n", "profiles", "add", "local", "--url", api.URL)
	require.Zero(t, r.code, r.messages)
	require.Equal(t, "local is "+api.URL+", with an administrator's key\n", r.out)
	require.Equal(t, "Bearer hush-hush", (<-api.asked).Header.Get("Authorization"))
	path := filepath.Join(p.home, ".config", "waybill", "profiles.json")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	r = p.run(t, "other\n", "profiles", "add", "away", "--url", "http://127.0.0.1:1", "--unchecked")
	require.Zero(t, r.code, r.messages)
	r = p.run(t, "", "profiles", "list")
	require.Equal(t, "   NAME   URL\n*  away   http://127.0.0.1:1\n   local  "+api.URL+"\n", r.out)
	require.Zero(t, p.run(t, "", "profiles", "use", "local").code)
	require.Contains(t, p.run(t, "", "profiles", "list").out, "*  local")
	require.Zero(t, p.run(t, "", "profiles", "remove", "local").code)
	require.NotContains(t, p.run(t, "", "profiles", "list").out, "local")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), "hush-hush")

	require.NoError(t, os.WriteFile(path, []byte(`{"current":"a","profiles":{"a":null}}`), 0o600))
	for _, args := range [][]string{{"profiles", "list"}, {"tenants", "list"}} {
		r = p.run(t, "", args...)
		require.Equal(t, 2, r.code)
		require.Contains(t, r.messages, "cannot be read: mend or remove the file")
	}

	require.NoError(t, os.Chmod(path, 0o640))
	r = p.run(t, "", "profiles", "list")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.messages, "others may read the keys in "+path+": chmod 600 "+path)
}

func TestProfiles_WrongCalls(t *testing.T) {
	t.Parallel()
	api, other := newFakeAPI(t, nil), newFakeAPI(t, map[string]string{"GET /v1/session": `{"status":"ok"}`})
	p := newPerson(t)
	for name, c := range map[string]struct {
		in   string
		args []string
		code int
		says string
	}{
		"a key that is not known": {"hush-hush", []string{"add", "a", "--url", api.URL}, 1, "the key is not known (unauthorized, 401, request r1)"},
		"no Waybill":              {"hush-hush", []string{"add", "a", "--url", other.URL}, 1, "is not a Waybill"},
		"no key":                  {"", []string{"add", "a", "--url", api.URL}, 2, "the standard input holds no key"},
		"two lines":               {"hush-hush\nhush-hush\n", []string{"add", "a", "--url", api.URL}, 2, "holds more than a key"},
		"a long key":              {strings.Repeat("k", maxKeyBytes+1), []string{"add", "a", "--url", api.URL}, 2, "holds more than a key"},
		"no address":              {"hush-hush", []string{"add", "a"}, 2, "--url"},
		"a bad name":              {"hush-hush", []string{"add", "../a", "--url", api.URL}, 2, "is no name for a profile"},
		"no name":                 {"hush-hush", []string{"add"}, 2, "NAME is missing"},
		"use of none":             {"", []string{"use", "none"}, 2, `there is no profile "none"`},
		"removal of none":         {"", []string{"remove", "none"}, 2, `there is no profile "none"`},
	} {
		r := p.run(t, c.in, append([]string{"profiles"}, c.args...)...)
		require.Equal(t, c.code, r.code, name)
		require.Contains(t, r.messages, c.says, name)
		require.NotContains(t, r.messages+r.out, "hush-hush", name)
	}
	require.NoDirExists(t, filepath.Join(p.home, ".config"), "nothing is kept of what did not work")
}

// The key of a profile goes to its own address alone.
func TestConnection(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	require.Zero(t, p.run(t, "profile-key", "profiles", "add", "a", "--url", "http://127.0.0.1:1", "--unchecked").code)
	require.Zero(t, p.run(t, "other-key", "profiles", "add", "b", "--url", "http://127.0.0.1:2", "--unchecked").code)
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte("file-key\n"), 0o600))
	for name, c := range map[string]struct {
		environ      []string
		flags        connection
		address, key string
		says         string
	}{
		"the current profile":              {nil, connection{}, "http://127.0.0.1:2", "other-key", ""},
		"a named profile":                  {nil, connection{profile: "a"}, "http://127.0.0.1:1", "profile-key", ""},
		"a profile by variable":            {[]string{"WAYBILL_PROFILE=a"}, connection{}, "http://127.0.0.1:1", "profile-key", ""},
		"variables":                        {[]string{"WAYBILL_URL=http://127.0.0.1:3", "WAYBILL_KEY=k"}, connection{}, "http://127.0.0.1:3", "k", ""},
		"a key's file":                     {[]string{"WAYBILL_URL=http://127.0.0.1:3", "WAYBILL_KEY=k"}, connection{keyFile: file}, "http://127.0.0.1:3", "file-key", ""},
		"a key's file by variable":         {[]string{"WAYBILL_URL=http://127.0.0.1:3", "WAYBILL_KEY_FILE=" + file}, connection{}, "http://127.0.0.1:3", "file-key", ""},
		"the profile's own address":        {nil, connection{url: "http://127.0.0.1:2/"}, "http://127.0.0.1:2", "other-key", ""},
		"another address":                  {nil, connection{url: "http://127.0.0.1:3"}, "", "", "with which key?"},
		"another address, by variable":     {[]string{"WAYBILL_URL=http://127.0.0.1:3"}, connection{}, "", "", "with which key?"},
		"a profile's flag over variables":  {[]string{"WAYBILL_URL=http://127.0.0.1:3", "WAYBILL_KEY=k", "WAYBILL_PROFILE=b"}, connection{profile: "a"}, "http://127.0.0.1:1", "profile-key", ""},
		"a profile and a key's file":       {[]string{"WAYBILL_KEY=k"}, connection{profile: "a", keyFile: file}, "http://127.0.0.1:1", "file-key", ""},
		"a profile and another address":    {[]string{"WAYBILL_KEY=k"}, connection{profile: "a", url: "http://127.0.0.1:3"}, "", "", "with which key?"},
		"a variable's profile and another": {[]string{"WAYBILL_PROFILE=a", "WAYBILL_URL=http://127.0.0.1:3"}, connection{}, "", "", "with which key?"},
		"no such profile":                  {nil, connection{profile: "c"}, "", "", `there is no profile "c"`},
		"no home":                          {[]string{"HOME="}, connection{}, "", "", "which Waybill?"},
	} {
		var messages bytes.Buffer
		n := c.flags
		n.env = Env{Environ: append(c.environ, p.environ...), Err: &messages}
		address, key, err := n.resolve()
		if c.says != "" {
			require.ErrorContains(t, err, c.says, name)
			require.Equal(t, ExitUsage, ExitCode(err), name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, [2]string{c.address, c.key}, [2]string{address, key}, name)
		require.Empty(t, messages.String(), name)
	}
	var messages bytes.Buffer
	n := connection{url: "http://waybill.example", env: Env{Environ: []string{"WAYBILL_KEY=k"}, Err: &messages}}
	_, _, err := n.resolve()
	require.NoError(t, err)
	require.Contains(t, messages.String(), "the key goes to http://waybill.example without TLS")
}

// A terminal obeys nothing that a server or a receiver wrote.
func TestClean(t *testing.T) {
	t.Parallel()
	require.Equal(t, "[31mred]0;title  é 漢", clean("\x1b[31mred\x1b]0;title\x07\u009b\u202e\n\té 漢\x7f\xff"))
	var out bytes.Buffer
	require.NoError(t, WriteJSON(&out, map[string]string{"a": "\x1b[31m\u009b\u202e<é"}))
	require.Contains(t, out.String(), `"\u001b[31m\u009b\u202e<é"`)
}
