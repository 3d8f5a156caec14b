package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretFile writes what a secret's file holds.
func secretFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// Every secret can come from a file, by variable and by flag, with or without a line break at its end.
func TestConfig_SecretFiles(t *testing.T) {
	t.Parallel()
	mail := []string{"WAYBILL_SMTP_HOST=smtp.example.com", "WAYBILL_SMTP_FROM=waybill@example.com", "WAYBILL_SMTP_USER=waybill"}
	want, err := parse(nil, good(append(mail, "WAYBILL_SMTP_PASSWORD= hush hush ", "WAYBILL_TEMPORAL_API_KEY=hush")...))
	require.NoError(t, err)
	values := map[string]string{
		"WAYBILL_DATABASE_URL": "postgres://u:hush-hush@127.0.0.1:5432/w", "WAYBILL_API_KEY": "0123456789abcdef0123", "WAYBILL_ENCRYPTION_KEYS": testKey,
		"WAYBILL_TEMPORAL_API_KEY": "hush", "WAYBILL_SMTP_PASSWORD": " hush hush ",
	}
	environ, args := mail, []string(nil)
	for _, name := range secretVariables() {
		if values[name] == "" {
			continue // a secret with a test of its own
		}
		environ = append(environ, name+"_FILE="+secretFile(t, values[name]+"\n"))
		args = append(args, "--"+flagName(name)+"-file="+secretFile(t, values[name]+"\r\n"))
	}
	for _, got := range []func() (*settings, error){
		func() (*settings, error) { return parse(nil, environ) },
		func() (*settings, error) { return parse(args, mail) },
		func() (*settings, error) { return parse(args, environ) },
	} {
		s, err := got()
		require.NoError(t, err)
		require.Equal(t, want.config, s.config)
	}
}

func TestConfig_RefusesSecretFiles(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("k", maxSecretBytes)
	_, err := parse(nil, good("WAYBILL_API_KEY=", "WAYBILL_API_KEY_FILE="+secretFile(t, long)))
	require.NoError(t, err, "the largest")
	for path, says := range map[string]string{
		secretFile(t, ""):                "is empty",
		secretFile(t, "\n"):              "is empty",
		secretFile(t, "hush\nhush\n"):    "more than one line",
		secretFile(t, long+"k"):          "longer than the 65536 bytes",
		t.TempDir():                      "is a directory",
		filepath.Join(t.TempDir(), "no"): "no such file",
	} {
		_, err := parse(nil, good("WAYBILL_API_KEY=", "WAYBILL_API_KEY_FILE="+path))
		require.ErrorContains(t, err, "WAYBILL_API_KEY_FILE")
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "hush")
	}
	_, err = parse(nil, good("WAYBILL_API_KEY_FILE="+secretFile(t, "0123456789abcdef0123")))
	require.ErrorContains(t, err, "WAYBILL_API_KEY and WAYBILL_API_KEY_FILE are both set")
	_, err = parse(nil, good("WAYBILL_LISTEN_FILE="+secretFile(t, "127.0.0.1:1")))
	require.ErrorContains(t, err, "WAYBILL_LISTEN_FILE is not a setting")
}

// No secret can be given where other users of the machine see it, and the refusal does not repeat it.
func TestConfig_SecretsAreNoFlags(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(secretVariables()), 6)
	for _, name := range secretVariables() {
		for _, args := range [][]string{
			{"serve", "-" + flagName(name) + "=hush-hush"}, {"serve", "--" + flagName(name), "hush-hush"}, {"serve", "--listen=127.0.0.1:1", "-" + flagName(name) + "=hush-hush"},
			{"--" + flagName(name), "hush-hush", "serve"}, {"-" + flagName(name) + "=hush-hush", "migrate"}, {"-" + flagName(name) + "=hush-hush"},
		} {
			code, out, messages := called(t, good(), args...)
			require.Equal(t, 2, code)
			require.Contains(t, messages, name+"_FILE", args)
			require.NotContains(t, out+messages, "hush-hush")
		}
	}
	_, usage, _ := called(t, nil, "serve", "--help")
	for _, name := range secretVariables() {
		require.NotContains(t, usage, "  --"+flagName(name)+" ", "the usage lists its file only")
		require.Contains(t, usage, "  --"+flagName(name)+"-file ")
	}
}

// docs/configuration.md names the file variable of every secret.
func TestConfig_SecretFilesDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	for _, name := range fileVariables() {
		require.Contains(t, string(page), "`"+name+"`")
	}
}

// A setting whose name sounds like a secret is marked as one.
func TestConfig_MarksSecrets(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`(PASSWORD|SECRET|TOKEN|_KEYS?|_PROXY|_HEADERS|DATABASE_URL)$`)
	for _, s := range allSettings() {
		require.Equal(t, secret.MatchString(s.Variable), slices.Contains(secretVariables(), s.Variable), s.Variable)
	}
}
