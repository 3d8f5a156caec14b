package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// However an operator writes several servers, each is found at its port.
func TestServersOfAURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][]string{
		"postgres://u:p%2F@a/x":                                  {"a 5432"},
		"postgres://u:p%2F@a:1/x?sslmode=disable":                {"a 1"},
		"postgres://u:p%2F@a,b/x":                                {"a 5432", "b 5432"},
		"postgres://u:p%2F@a,b/x?port=1,2":                       {"a 1", "b 2"},
		"postgres://u:p%2F@a:1,b:2/x?sslmode=disable":            {"a 1", "b 2"},
		"postgres://u:p%2F@a,b:2/x":                              {"a 5432", "b 2"},
		"postgres://a:1,b:2?user=u&password=p%2F&dbname=x":       {"a 1", "b 2"},
		"host=a,b port=1,2 user=u password=p/ dbname=x":          {"a 1", "b 2"},
		"postgres://u:p%2F@/x?host=a,b&port=1,2&sslmode=disable": {"a 1", "b 2"},
	} {
		for _, text := range []string{withPorts(url), listenURL(url)} {
			cfg, err := pq.NewConfig(text)
			require.NoError(t, err, url)
			require.Equal(t, []string{"u", "p/", "x"}, []string{cfg.User, cfg.Password, cfg.Database}, url)
			var got []string
			for _, h := range newConnector(cfg).hosts {
				require.Equal(t, pq.TargetSessionAttrsReadWrite, h.TargetSessionAttrs)
				got = append(got, fmt.Sprintf("%s %d", h.Host, h.Port))
			}
			require.Equal(t, want, got, url)
		}
	}
	cfg, err := pq.NewConfig(listenURL("postgres://u@a,b/x?target_session_attrs=any&connect_timeout=7"))
	require.NoError(t, err)
	require.Equal(t, pq.TargetSessionAttrsAny, cfg.TargetSessionAttrs, "what the URL says is left as it is")
	require.Equal(t, 7*time.Second, cfg.ConnectTimeout)
}
