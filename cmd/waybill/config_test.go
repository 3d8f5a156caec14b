package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/api"
	"waybill/worker"
)

const testKey = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// good is the least that serve needs.
func good(change ...string) []string {
	return append([]string{
		"WAYBILL_DATABASE_URL=postgres://u:hush-hush@127.0.0.1:5432/w", "WAYBILL_API_KEY=0123456789abcdef0123", "WAYBILL_ENCRYPTION_KEYS=" + testKey,
	}, change...)
}

func parse(args, environ []string) (*settings, error) {
	c := &cobra.Command{Use: "serve"}
	g := addSettings(c, environ, nil)
	if err := c.ParseFlags(args); err != nil {
		return nil, err
	}
	return readSettings("serve", g.variables())
}

// called runs a command, and returns its exit code and what it wrote.
func called(t *testing.T, environ []string, args ...string) (code int, out, messages string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), invocation{args: args, environ: environ, in: strings.NewReader(""), out: &stdout, err: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestConfig_Defaults(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, good())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", s.Listen)
	require.Equal(t, []uint16{80, 443, 8080, 8443}, s.EgressPorts)
	require.Equal(t, 25*time.Second, s.DrainTimeout)
	require.False(t, s.AllowHTTP)
	require.Equal(t, worker.DefaultMaxBacklog, s.MaxBacklog)
	require.Empty(t, s.WorkerListen, "no two processes want the same address by default")
	require.Len(t, s.keys, 1)
	require.Equal(t, "k1", s.keys[0].ID)
}

func TestConfig_OperatorTenant(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, good("WAYBILL_OPERATOR_TENANT=ops"))
	require.NoError(t, err)
	require.Equal(t, "ops", s.OperatorTenant)
	_, err = parse(nil, good("WAYBILL_OPERATOR_TENANT=Ops Team"))
	require.ErrorContains(t, err, "WAYBILL_OPERATOR_TENANT is the id of a tenant")
}

// One key without a name is what it was, whatever it has in it; several have names.
func TestConfig_AdminKeys(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value string
		want  []api.AdminKey
	}{
		{"0123456789abcdef", []api.AdminKey{{Key: "0123456789abcdef"}}},
		{" alice:0123456789abcdef , bob:fedcba9876543210", []api.AdminKey{{Name: "alice", Key: "0123456789abcdef"}, {Name: "bob", Key: "fedcba9876543210"}}},
		{"9:0123456789abcdef", []api.AdminKey{{Key: "9:0123456789abcdef"}}},
		{"alice:0123456789abcdef", []api.AdminKey{{Name: "alice", Key: "0123456789abcdef"}, {Key: "alice:0123456789abcdef"}}},
	} {
		s, err := parse(nil, good("WAYBILL_API_KEY="+tc.value))
		require.NoError(t, err, tc.value)
		require.Equal(t, tc.want, s.adminKeys)
	}
	s, err := parse(nil, good("WAYBILL_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8"))
	require.NoError(t, err)
	require.Len(t, s.trustedProxies, 2)
	require.Equal(t, 1000, s.KeyRate)
}

func TestConfig_FlagsOverruleEnvironment(t *testing.T) {
	t.Parallel()
	s, err := parse([]string{"--listen", "127.0.0.1:9", "--egress-allow-cidrs=10.1.2.3/8,::1/128"}, good("WAYBILL_LISTEN=127.0.0.1:1"))
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9", s.Listen)
	require.Equal(t, []activities.AllowedNetwork{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}, {Prefix: netip.MustParsePrefix("::1/128")}}, s.rules.Allow)
}

// The help of a server's command lists every setting under its group, with its default and what it does.
func TestConfig_Help(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve", "--help"}, {"serve", "-h"}, {"help", "serve"}} {
		code, out, messages := called(t, nil, args...)
		require.Zero(t, code)
		require.Empty(t, messages, "help that is asked for is no message")
		for _, s := range allSettings() {
			require.NotEmpty(t, s.Help, s.Variable)
			require.NotEmpty(t, s.Group, s.Variable)
			require.Contains(t, out, s.Group+":\n")
			require.Contains(t, out, "  --"+s.flag)
			if s.Default != "" {
				require.Contains(t, strings.Join(strings.Fields(out), " "), "(default "+s.Default+")")
			}
		}
	}
	_, out, _ := called(t, nil, "migrate", "--help")
	require.Contains(t, out, "--database-role")
	require.NotContains(t, out, "--listen", "what a command does not use is not shown")
}

// A flag for yes or no needs no value, and overrules the variable either way.
func TestConfig_Booleans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args     []string
		variable string
		want     bool
	}{
		{[]string{"--express"}, "", true}, {[]string{"--express"}, "false", true}, {[]string{"--express=true"}, "", true},
		{[]string{"--express=false"}, "true", false}, {nil, "true", true}, {nil, "", false},
	} {
		s, err := parse(c.args, good("WAYBILL_EXPRESS="+c.variable))
		require.NoError(t, err)
		require.Equal(t, c.want, s.Express, c)
	}
	_, err := parse([]string{"--express=si"}, good())
	require.EqualError(t, err, `WAYBILL_EXPRESS is "si", not true or false`)
	code, _, messages := called(t, good(), "serve", "--express", "false")
	require.Equal(t, 2, code)
	require.Contains(t, messages, "a flag for yes or no is written --express or --express=false")
}

// Every wrong value is reported with the variable that holds it, and secrets stay out of the message.
func TestConfig_Check(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{
		"WAYBILL_DATABASE_URL=mysql://hush-hush", "WAYBILL_DATABASE_URL=", "WAYBILL_API_KEY=hush-hush", "WAYBILL_API_KEY=",
		"WAYBILL_API_KEY=alice:hush-hush", "WAYBILL_API_KEY=alice:hush-hush-0123456789,hush-hush-0123456780", "WAYBILL_API_KEY=alice:hush-hush-0123456789,bob:hush-hush",
		"WAYBILL_API_KEY=alice:hush-hush-0123456789,alice:hush-hush-0123456780", "WAYBILL_API_KEY=alice:hush-hush-0123456789,bob:hush-hush-0123456789",
		"WAYBILL_API_KEY=alice:hush-hush-0123456789,9b:hush-hush-0123456780", "WAYBILL_API_KEY=alice:hush-hush-0123456789,",
		"WAYBILL_API_KEY=a" + strings.Repeat(",a", 20),
		"WAYBILL_KEY_RATE=-1", "WAYBILL_KEY_RATE=1000001", "WAYBILL_TRUSTED_PROXIES=10.0.0.1", "WAYBILL_TRUSTED_PROXIES=proxy",
		"WAYBILL_ENCRYPTION_KEYS=", "WAYBILL_ENCRYPTION_KEYS=hush-hush", "WAYBILL_ENCRYPTION_KEYS=k1:aHVzaC1odXNo",
		"WAYBILL_ENCRYPTION_KEYS=" + testKey + "," + testKey,
		"WAYBILL_LOG_LEVEL=loud", "WAYBILL_LOG_FORMAT=xml", "WAYBILL_LISTEN=8080", "WAYBILL_WORKER_LISTEN=8081", "WAYBILL_TEMPORAL_ADDRESS=temporal",
		"WAYBILL_TEMPORAL_ADDRESS=,", "WAYBILL_TEMPORAL_ADDRESS=temporal-1:7233,temporal-2", "WAYBILL_TEMPORAL_ADDRESS=temporal-1:7233,",
		"WAYBILL_TEMPORAL_ADDRESS=temporal-1:7233,temporal-2:72333", "WAYBILL_TEMPORAL_ADDRESS=temporal:", "WAYBILL_TEMPORAL_ADDRESS=temporal:0",
		"WAYBILL_TEMPORAL_TLS_CERT_FILE=cert.pem", "WAYBILL_TEMPORAL_TLS=perhaps",
		"WAYBILL_EGRESS_ALLOW_CIDRS=10.0.0.0", "WAYBILL_EGRESS_ALLOW_CIDRS=::ffff:10.0.0.0/104", "WAYBILL_EGRESS_PORTS=443,http", "WAYBILL_ALLOW_HTTP=si",
		"WAYBILL_DATABASE_MAX_CONNS=0", "WAYBILL_DATABASE_MAX_CONNS=many", "WAYBILL_MAX_BODY_BYTES=-1", "WAYBILL_MAX_BATCH_BYTES=1",
		"WAYBILL_MAX_INFLIGHT_BYTES=1024", "WAYBILL_MAX_INFLIGHT_BYTES=64MiB",
		"WAYBILL_MAX_BACKLOG=-1", "WAYBILL_MAX_BACKLOG=10000001", "WAYBILL_STARTS=0",
		"WAYBILL_DRAIN_TIMEOUT=25", "WAYBILL_DRAIN_TIMEOUT=0s", "WAYBILL_RECONCILE_AFTER=0s", "WAYBILL_RECONCILE_AFTER=48h",
		"WAYBILL_PUBLIC_URL=waybill.example.com", "WAYBILL_PUBLIC_URL=https://u:hush-hush@waybill.example.com", "WAYBILL_PUBLIC_URL=https://w.example/?a=1",
		"WAYBILL_SMTP_PORT=25", "WAYBILL_SMTP_PASSWORD=hush-hush", "WAYBILL_SMTP_FROM=waybill@example.com",
		"WAYBILL_LISTN=127.0.0.1:1", "WAYBILL_RETENTION=23h", "WAYBILL_RETENTION=90d", "WAYBILL_RETENTION=87601h", "WAYBILL_AUDIT_RETENTION=1h",
	} {
		_, err := parse(nil, good(wrong))
		variable, _, _ := strings.Cut(wrong, "=")
		require.ErrorContains(t, err, variable, wrong)
		require.NotContains(t, err.Error(), "hush-hush")
		require.NotContains(t, err.Error(), "MDEyMzQ1")
	}
}

// The mail server's settings are checked together, and none of them shows the password.
func TestConfig_Mail(t *testing.T) {
	t.Parallel()
	mail := func(change ...string) []string {
		return good(append([]string{"WAYBILL_SMTP_HOST=smtp.example.com", "WAYBILL_SMTP_FROM=Waybill <waybill@example.com>"}, change...)...)
	}
	s, err := parse(nil, mail("WAYBILL_SMTP_USER=waybill", "WAYBILL_SMTP_PASSWORD=hush-hush", "WAYBILL_PUBLIC_URL=https://waybill.example.com/w/"))
	require.NoError(t, err)
	require.Equal(t, "https://waybill.example.com/w", s.PublicURL)
	require.Equal(t, activities.MailerOptions{
		Host: "smtp.example.com", TLS: activities.MailSTARTTLS, User: "waybill", Password: "hush-hush", From: "Waybill <waybill@example.com>",
	}, s.mailerOptions())
	for _, wrong := range []string{
		"WAYBILL_SMTP_HOST=smtp://smtp.example.com", "WAYBILL_SMTP_HOST=smtp.example.com:25", "WAYBILL_SMTP_PORT=65536", "WAYBILL_SMTP_PORT=smtp",
		"WAYBILL_SMTP_TLS=ssl", "WAYBILL_SMTP_FROM=", "WAYBILL_SMTP_FROM=waybill", "WAYBILL_SMTP_USER=waybill",
		"WAYBILL_SMTP_FROM=a@example.com, b@example.com", "WAYBILL_SMTP_FROM=a@example.com\r\nBcc: b@example.com",
	} {
		_, err := parse(nil, mail(wrong))
		variable, _, _ := strings.Cut(wrong, "=")
		require.ErrorContains(t, err, variable, wrong)
	}
	_, err = parse(nil, mail("WAYBILL_SMTP_TLS=none", "WAYBILL_SMTP_USER=waybill", "WAYBILL_SMTP_PASSWORD=hush-hush"))
	require.ErrorContains(t, err, "WAYBILL_SMTP_PASSWORD would be readable on the way: choose starttls or tls")
	require.NotContains(t, err.Error(), "hush-hush")
}

// A value of the wrong kind is answered with the kind, not with the words of a parser.
func TestConfig_SaysWhatItTakes(t *testing.T) {
	t.Parallel()
	for wrong, says := range map[string]string{
		"WAYBILL_MAX_BACKLOG=1e6":         `WAYBILL_MAX_BACKLOG is "1e6", not a whole number`,
		"WAYBILL_MAX_INFLIGHT_BYTES=8MiB": `WAYBILL_MAX_INFLIGHT_BYTES is "8MiB", not a whole number`,
		"WAYBILL_DRAIN_TIMEOUT=25":        `WAYBILL_DRAIN_TIMEOUT is "25", not a duration such as 500ms, 25s, 5m or 2h`,
		"WAYBILL_EXPRESS=si":              `WAYBILL_EXPRESS is "si", not true or false`,
		"WAYBILL_EGRESS_PORTS=443,http":   `WAYBILL_EGRESS_PORTS is "443,http", not a list of numbers by commas, such as 443,8443`,
	} {
		_, err := parse(nil, good(wrong))
		require.EqualError(t, err, says)
	}
}

// The error about the URL does not quote it, because it contains the password.
func TestConfig_DatabaseURL(t *testing.T) {
	t.Parallel()
	for value, says := range map[string]string{
		"":                                     "WAYBILL_DATABASE_URL is required",
		"postgres://u:hush/hush@127.0.0.1/w":   "WAYBILL_DATABASE_URL is not a URL; characters such as / ? # % in the password are written",
		"postgres://u:hush%hush@127.0.0.1/w":   "WAYBILL_DATABASE_URL is not a URL",
		"postgres://u:hush-hush@127.0.0.1:x/w": "WAYBILL_DATABASE_URL is not a URL",
		"mysql://u:hush-hush@127.0.0.1/w":      "WAYBILL_DATABASE_URL does not begin with postgres://",
		"host=127.0.0.1 password=hush-hush":    "WAYBILL_DATABASE_URL does not begin with postgres://",
	} {
		_, err := parse(nil, good("WAYBILL_DATABASE_URL="+value))
		require.ErrorContains(t, err, says, value)
		require.NotContains(t, err.Error(), "hush")
		require.Equal(t, value == "", strings.Contains(err.Error(), "is required"), value)
	}
}

func TestConfig_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parse(nil, []string{"WAYBILL_LOG_LEVEL=loud"})
	for _, variable := range []string{"WAYBILL_DATABASE_URL", "WAYBILL_API_KEY", "WAYBILL_ENCRYPTION_KEYS", "WAYBILL_LOG_LEVEL"} {
		require.ErrorContains(t, err, variable)
	}
}

// A misspelled name, a file that is not there and a value of the wrong kind are told together, and so are a name and what is wrong otherwise.
func TestConfig_ReportsEveryKindAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parse(nil, good("WAYBILL_LISTN=x", "WAYBILL_SMTP_PASSWORD_FILE=/nowhere/at/all", "WAYBILL_STARTS=many", "WAYBILL_EXPRESS=si"))
	for _, says := range []string{
		"WAYBILL_LISTN is not a setting", "WAYBILL_SMTP_PASSWORD_FILE: open /nowhere", `WAYBILL_STARTS is "many"`, `WAYBILL_EXPRESS is "si"`,
	} {
		require.ErrorContains(t, err, says)
	}
	_, err = parse(nil, good("WAYBILL_LISTN=x", "WAYBILL_STARTS=0"))
	require.ErrorContains(t, err, "WAYBILL_LISTN is not a setting")
	require.ErrorContains(t, err, "WAYBILL_STARTS is from 1 to 1000, not 0")
}

func TestConfig_MigrateNeedsTheDatabaseOnly(t *testing.T) {
	t.Parallel()
	variables := func() map[string]string { return map[string]string{"WAYBILL_DATABASE_URL": "postgres://127.0.0.1/w"} }
	_, err := readSettings("migrate", variables())
	require.NoError(t, err)
	_, err = readSettings("reseal", variables())
	require.ErrorContains(t, err, "WAYBILL_ENCRYPTION_KEYS is required")
	sealing := variables()
	sealing["WAYBILL_ENCRYPTION_KEYS"] = testKey
	_, err = readSettings("reseal", sealing)
	require.NoError(t, err)
}

// What a shell sets for the commands of people does not keep the server from starting.
func TestConfig_IgnoresVariablesOfOthers(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, good("WAYBILL_URL=http://127.0.0.1:8080", "WAYBILL_KEY=k", "WAYBILL_PROFILE=p", "WAYBILL_RUN_API_PORT=1", "WAYBILL_TEST_A=1"))
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", s.Listen)
	_, err = parse(nil, good("WAYBILL_LISTN=127.0.0.1:1"))
	require.EqualError(t, err, "WAYBILL_LISTN is not a setting, did you mean WAYBILL_LISTEN?")
	_, err = parse(nil, good("WAYBILL_NOTHING_LIKE_IT=1"))
	require.EqualError(t, err, "WAYBILL_NOTHING_LIKE_IT is not a setting: waybill serve --help lists them")
}

func TestConfig_Metrics(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, good("WAYBILL_METRICS_LISTEN=127.0.0.1:9464", "WAYBILL_METRICS_TOP_ENDPOINTS=100"))
	require.NoError(t, err)
	require.Equal(t, 100, s.MetricsTop)
	for _, wrong := range []string{"WAYBILL_METRICS_LISTEN=9464", "WAYBILL_METRICS_TOP_ENDPOINTS=101", "WAYBILL_METRICS_TOP_ENDPOINTS=-1"} {
		_, err := parse(nil, good(wrong))
		require.ErrorContains(t, err, strings.Split(wrong, "=")[0])
	}
}
