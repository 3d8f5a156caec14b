package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tables of docs/configuration.md are those that the code makes.
func TestConfig_Documented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	want, err := withTables(string(page))
	require.NoError(t, err)
	require.Equal(t, want, string(page), "write them anew: go run ./cmd/waybill config --markdown docs/configuration.md")

	path := filepath.Join(t.TempDir(), "page.md")
	stale := strings.Replace(string(page), "| `WAYBILL_STARTS` | `8` |", "| `WAYBILL_STARTS` | `9` |", 1)
	require.NotEqual(t, string(page), stale)
	require.NoError(t, os.WriteFile(path, []byte(stale), 0o600))
	code, _, messages := called(t, nil, "config", "--markdown", path)
	require.Zero(t, code, messages)
	mended, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(page), string(mended))

	_, err = withTables(strings.Replace(string(page), "<!-- settings: Mail -->", "", 1))
	require.ErrorContains(t, err, `no place for the settings of "Mail"`)
}

// Every setting is shown with its value and where that comes from, and no secret is.
func TestConfigCommand(t *testing.T) {
	t.Parallel()
	environ := good("WAYBILL_STARTS=7", "WAYBILL_LOG_LEVEL=", "WAYBILL_SMTP_PASSWORD_FILE=/run/secrets/smtp", "WAYBILL_KEY=hush-hush",
		"WAYBILL_TRACES_ENDPOINT=http://user:hush-hush@collector:4318")
	args := []string{"config", "--listen=127.0.0.1:9", "--express", "--temporal-api-key-file=/run/secrets/temporal"}
	code, out, messages := called(t, environ, append(args, "-o", "json")...)
	require.Zero(t, code, messages)
	var shown []shownSetting
	require.NoError(t, json.Unmarshal([]byte(out), &shown))
	require.Len(t, shown, len(allSettings()))
	got := map[string]shownSetting{}
	for _, s := range shown {
		require.NotEmpty(t, s.Meaning)
		got[s.Variable] = s
	}
	for variable, want := range map[string][3]string{
		"WAYBILL_LISTEN": {"127.0.0.1:9", "flag", ""}, "WAYBILL_EXPRESS": {"true", "flag", ""}, "WAYBILL_STARTS": {"7", "variable", ""},
		"WAYBILL_LOG_LEVEL": {"info", "default", ""}, "WAYBILL_DRAIN_TIMEOUT": {"25s", "default", ""}, "WAYBILL_API_KEY": {"", "variable", ""},
		"WAYBILL_SMTP_PASSWORD": {"", "file", "/run/secrets/smtp"}, "WAYBILL_TEMPORAL_API_KEY": {"", "file", "/run/secrets/temporal"},
		"WAYBILL_EGRESS_PROXY": {"", "default", ""}, "WAYBILL_TRACES_ENDPOINT": {"http://user:xxxxx@collector:4318", "variable", ""},
	} {
		require.Equal(t, want, [3]string{got[variable].Value, got[variable].Source, got[variable].File}, variable)
	}
	require.True(t, got["WAYBILL_API_KEY"].Set)
	require.False(t, got["WAYBILL_EGRESS_PROXY"].Set)

	code, text, _ := called(t, environ, args...)
	require.Zero(t, code)
	for _, line := range []string{
		"  WAYBILL_LISTEN=127.0.0.1:9 (flag)\n", "  WAYBILL_STARTS=7 (variable)\n", "  WAYBILL_API_KEY=<set> (variable)\n",
		"  WAYBILL_SMTP_PASSWORD=<set> (file /run/secrets/smtp)\n", "  WAYBILL_EGRESS_PROXY=<not set> (default)\n", "  WAYBILL_DRAIN_TIMEOUT=25s (default)\n",
	} {
		require.Contains(t, text, line)
	}
	for _, secret := range []string{"hush-hush", "0123456789abcdef0123", "MDEyMzQ1"} {
		require.NotContains(t, out+text, secret)
	}
	_, text, _ = called(t, nil, "config")
	require.Contains(t, text, "  WAYBILL_DATABASE_URL=<not set> (required)\n")
	code, _, messages = called(t, []string{"WAYBILL_LISTN=1"}, "config")
	require.Equal(t, 2, code)
	require.Contains(t, messages, "WAYBILL_LISTN is not a setting, did you mean WAYBILL_LISTEN?")
}

func TestVersionCommand(t *testing.T) {
	t.Parallel()
	code, out, _ := called(t, nil, "version", "-o", "json")
	require.Zero(t, code)
	var b build
	require.NoError(t, json.Unmarshal([]byte(out), &b))
	require.NotEmpty(t, b.Go)
	require.NotEmpty(t, b.OS)
	code, out, _ = called(t, nil, "version")
	require.Zero(t, code)
	require.Contains(t, out, b.Go+", "+b.OS+"/"+b.Arch)
	code, short, _ := called(t, nil, "--version")
	require.Zero(t, code)
	require.Equal(t, out, short)
	code, _, messages := called(t, nil, "version", "-o", "xml")
	require.Equal(t, 2, code)
	require.Contains(t, messages, "it is one of text, json")
}

// Every command has a page, and completion is there for each shell.
func TestManAndCompletion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man")
	code, _, messages := called(t, nil, "man", dir)
	require.Zero(t, code, messages)
	root := newRoot(invocation{err: new(bytes.Buffer)}, nil)
	for _, c := range root.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		page, err := os.ReadFile(filepath.Join(dir, "waybill-"+c.Name()+".1"))
		require.NoError(t, err)
		require.Contains(t, string(page), "EXAMPLE", c.Name())
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, _ := called(t, nil, "completion", shell)
		require.Zero(t, code)
		require.Contains(t, out, "waybill", shell)
	}
}
