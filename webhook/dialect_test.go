package webhook_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// TestDialects_Facts holds what is decided about the platforms and no other test looks at.
func TestDialects_Facts(t *testing.T) {
	t.Parallel()
	standard, rheo, tradly := dialect(t, "standard"), dialect(t, "rheo"), dialect(t, "tradly")
	tradevine, auction := dialect(t, "tradevine"), dialect(t, "auction-excellence")
	for _, d := range []*webhook.Dialect{standard, rheo, tradly, tradevine, auction} {
		require.True(t, d.HTTPSOnly, d.Name)
		require.Equal(t, d == standard, d.GoneDisables, d.Name)
		require.Equal(t, d != standard, d.HasCatalogue(), d.Name)
		require.Equal(t, d == tradevine, d.ASCIIOnly, d.Name)
		require.Equal(t, d == tradevine, d.Secret.Scope == webhook.SecretOfTenant, d.Name)
		require.Positive(t, d.HoldFor, d.Name)
	}
	require.Equal(t, 1, rheo.Endpoints.Max)
	require.Equal(t, &webhook.AutoDisable{Failures: 10}, tradevine.AutoDisable)
	require.Equal(t, 10, auction.AutoDisable.Failures)
	require.Equal(t, "10m", auction.AutoDisable.Span.String())
	require.Equal(t, "Tradly webhook delivery issues for https://tradly.app", tradly.Alerts.Subject)
	require.Equal(t, []string{"exhausted", "disabled"}, tradly.Alerts.On)
	require.Equal(t, "1h", tradly.Alerts.MinInterval.String())
}

func TestParseDialect_NotADialect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{`:                            "dialect: unexpected EOF",
		`{"naem":"x"}`:                 `dialect: json: unknown field "naem"`,
		`{"timeout":"ten"}`:            "is a duration",
		`{"name":"x"}`:                 "dialect x: retry needs exactly one of",
		`{"headers":{"A":"{signed}"}}`: `headers.A has the unknown placeholder {signed}`,
	} {
		_, err := webhook.ParseDialect([]byte(text))
		require.Error(t, err)
		var told string
		var e *webhook.Error
		if errors.As(err, &e) {
			for _, f := range e.Fields {
				told += f.Field + " " + f.Detail + "\n"
			}
		}
		require.Contains(t, err.Error()+"\n"+told, want)
	}
}
