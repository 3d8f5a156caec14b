package main

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
)

// diagnosed runs the command and returns each check's verdict and words.
func diagnosed(t *testing.T, environ []string, args ...string) (int, map[string]finding) {
	t.Helper()
	began := time.Now()
	code, out, messages := called(t, environ, append([]string{"doctor", "-o", "json"}, args...)...)
	require.Less(t, time.Since(began), 30*time.Second)
	var all []finding
	require.NoError(t, json.Unmarshal([]byte(out), &all), messages)
	found := map[string]finding{}
	for _, f := range all {
		found[f.Check] = f
		if f.Verdict != fine {
			require.NotEmpty(t, f.Do, "%s does not say what to do", f.Check)
		}
		require.NotContains(t, f.Says+f.Do, "hush-hush")
	}
	return code, found
}

// What works is told as such, and a namespace that is not there with what to do.
func TestDoctor(t *testing.T) {
	t.Parallel()
	schema := postgrestest.New(t).Schema()
	temporal := os.Getenv("WAYBILL_TEST_TEMPORAL_ADDRESS")
	require.NotEmpty(t, temporal)
	environ := []string{
		"WAYBILL_DATABASE_URL=" + postgrestest.URL(t), "WAYBILL_DATABASE_SCHEMA=" + schema, "WAYBILL_ENCRYPTION_KEYS=" + testKey,
		"WAYBILL_TEMPORAL_ADDRESS=" + temporal, "WAYBILL_TEMPORAL_NAMESPACE=nobody-has-it", "WAYBILL_EGRESS_ALLOW_CIDRS=10.0.0.0/8:443",
	}
	code, found := diagnosed(t, environ, "--receiver", "https://127.0.0.1:443/")
	require.Equal(t, 1, code)
	for _, check := range []string{"version", "configuration", "database", "migrations", "clock", "encryption keys", "temporal", "egress", "mail"} {
		require.Equal(t, fine, found[check].Verdict, "%s: %s", check, found[check].Says)
	}
	require.Equal(t, fails, found["namespace"].Verdict)
	require.Contains(t, found["namespace"].Do, "setup-namespace.sh nobody-has-it")
	require.Equal(t, fails, found["receiver"].Verdict, "a delivery could not go there")
	require.Contains(t, found["egress"].Says, "10.0.0.0/8:443")

	code, found = diagnosed(t, append(environ, "WAYBILL_DATABASE_SCHEMA=nothing_here"))
	require.Equal(t, 1, code)
	require.Equal(t, "Run: waybill migrate", found["migrations"].Do)
}

// A task queue without a worker is told: before the first start of Waybill, and when the workers do not know it.
func TestDoctor_Workers(t *testing.T) {
	t.Parallel()
	_, found := diagnosed(t, []string{
		"WAYBILL_DATABASE_URL=" + postgrestest.URL(t), "WAYBILL_ENCRYPTION_KEYS=" + testKey,
		"WAYBILL_TEMPORAL_ADDRESS=" + os.Getenv("WAYBILL_TEST_TEMPORAL_ADDRESS"), "WAYBILL_TEMPORAL_NAMESPACE=" + os.Getenv("WAYBILL_TEST_TEMPORAL_NAMESPACE"),
	})
	require.NotEmpty(t, found["workers"].Says, "other tests have workers, or have none")
	require.NotContains(t, found["workers"].Says, "not checked")

	require.Equal(t, fine, findWorkers(nil, 4).Verdict)
	require.Equal(t, doubts, findWorkers([]string{"a", "b"}, 2).Verdict, "it is not started yet")
	some := findWorkers([]string{"waybill-wide"}, 4)
	require.Equal(t, fails, some.Verdict)
	require.Contains(t, some.Says, "waybill-wide")
	require.Contains(t, some.Do, "of this version")
}

// What is down is told within the time, and no secret with it.
func TestDoctor_Down(t *testing.T) {
	t.Parallel()
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = hangs.Close() })
	code, found := diagnosed(t, good(
		"WAYBILL_DATABASE_URL=postgres://u:hush-hush@"+hangs.Addr().String()+"/w?sslmode=disable", "WAYBILL_TEMPORAL_ADDRESS=127.0.0.1:1",
		"WAYBILL_SMTP_HOST=127.0.0.1", "WAYBILL_SMTP_PORT=1", "WAYBILL_SMTP_FROM=a@example.com", "WAYBILL_SMTP_USER=u", "WAYBILL_SMTP_PASSWORD=hush-hush",
	))
	require.Equal(t, 1, code)
	for _, check := range []string{"database", "temporal", "mail"} {
		require.Equal(t, fails, found[check].Verdict, check)
	}
	require.Equal(t, doubts, found["encryption keys"].Verdict)

	code, found = diagnosed(t, good("WAYBILL_STARTS=0"))
	require.Equal(t, 1, code)
	require.Contains(t, found["configuration"].Says, "WAYBILL_STARTS is from 1 to 1000")
	for _, wrong := range []string{"WAYBILL_API_KEY=short", "WAYBILL_DIALECTS_DIR=/nowhere/at/all"} {
		code, found = diagnosed(t, good(wrong))
		require.Equal(t, 1, code)
		require.Contains(t, found["configuration"].Says, strings.Split(wrong, "=")[0])
	}
}
