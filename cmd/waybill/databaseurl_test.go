package main

import (
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// A password of its own needs no escaping: the driver gets what the operator wrote, whatever is in it.
func TestConfig_DatabasePassword(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"simple", `a/b?c#d%e:f@g`, `'quoted' "twice" \back`, "with space+plus", "ünïcödé ❤", "$HOME ${x} %2F", " ends "} {
		s, err := parse(nil, good("WAYBILL_DATABASE_URL=postgres://app@db.internal:6432/w?sslmode=disable", "WAYBILL_DATABASE_PASSWORD="+password))
		require.NoError(t, err, password)
		cfg, err := pq.NewConfig(s.DatabaseURL)
		require.NoError(t, err, password)
		require.Equal(t, password, cfg.Password)
		require.Equal(t, []any{"app", "db.internal", uint16(6432), "w", pq.SSLModeDisable}, []any{cfg.User, cfg.Host, cfg.Port, cfg.Database, cfg.SSLMode})

		s, err = parse(nil, good("WAYBILL_DATABASE_URL=postgres://app@db.internal:6432/w", "WAYBILL_DATABASE_PASSWORD_FILE="+secretFile(t, password+"\n")))
		require.NoError(t, err, password)
		cfg, err = pq.NewConfig(s.DatabaseURL)
		require.NoError(t, err, password)
		require.Equal(t, password, cfg.Password, "from a file")
	}
}

// Two passwords, or one of nobody, are refused, and none is shown.
func TestConfig_RefusesDatabasePassword(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"postgres://u:hush-hush@127.0.0.1/w": "has a password and WAYBILL_DATABASE_PASSWORD is set: choose one",
		"postgres://u:@127.0.0.1/w":          "choose one",
		"postgres://127.0.0.1/w":             "names no user",
		"postgres://:@127.0.0.1/w":           "names no user",
		"":                                   "is required",
	} {
		_, err := parse(nil, good("WAYBILL_DATABASE_URL="+url, "WAYBILL_DATABASE_PASSWORD=hush-hush"))
		require.ErrorContains(t, err, "WAYBILL_DATABASE_URL", url)
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "hush-hush")
	}
}

// Several servers may stand in the URL or, where it takes no IPv6 address among others, behind the ?.
func TestConfig_DatabaseServers(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"postgres://u:hush-hush@[::1]:5432,pg-b:5432/w":  "has a list of servers that is none",
		"postgres://u:hush-hush@pg-a:5432, pg-b:5432/w":  "has a list of servers that is none",
		"postgres://u:hush,h#sh/hush@pg-a:5432/w":        "is not a URL; characters such as",
		"postgres://u:hush-hush@pg-a:5432,pg-b:5432/w":   "",
		"postgres://u:hush-hush@/w?host=::1&port=5432,1": "",
	} {
		_, err := parse(nil, good("WAYBILL_DATABASE_URL="+url))
		if says == "" {
			require.NoError(t, err, url)
			continue
		}
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "hush", url)
	}
	cfg, err := pq.NewConfig("postgres://user:password@/waybill?host=pg-a,::1&port=5432,5433")
	require.NoError(t, err, "what the message proposes")
	require.Equal(t, []pq.ConfigMultihost{{Host: "::1", Port: 5433}}, cfg.Multi)
}
