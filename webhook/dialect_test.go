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
	require.Equal(t, "Tradly webhook delivery issues for https://tradly.app", tradly.Alerts.SubjectFor(&webhook.Tenant{Name: "Tradly", URL: "https://tradly.app"}))
	require.Equal(t, "Tradly webhook delivery issues for Oak & Pine", tradly.Alerts.SubjectFor(&webhook.Tenant{Name: "Oak & Pine"}))
	require.Equal(t, webhook.Troubles, tradly.Alerts.On)
	require.Equal(t, "1h", tradly.Alerts.MinInterval.String())
	require.Equal(t, map[webhook.Status]string{webhook.StatusExhausted: "failed"}, rheo.StatusWords)
	require.Equal(t, map[webhook.Status]string{webhook.StatusDelivered: "success", webhook.StatusExhausted: "failed"}, auction.StatusWords)
	require.Equal(t, "^evt_", rheo.EventIDPattern)
}

func TestParseDialect_NotADialect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{`:                                      "dialect: unexpected EOF",
		`{"naem":"x"}`:                           `dialect: json: unknown field "naem"`,
		`{"timeout":"ten"}`:                      "is a duration",
		`{"name":"x"}`:                           "dialect x: retry needs exactly one of",
		`{"headers":{"A":"{signed}"}}`:           `headers.A has the unknown placeholder {signed}`,
		`{"alerts":{"on":[],"subject":"{url}"}}`: `alerts.subject has the unknown placeholder {url}; known: tenant_url`,
		`{"alerts":{"on":["down"],"min_interval":"1h"}}`:                                              `alerts.on[0] is "down", not exhausted or disabled`,
		`{"alerts":{"on":[],"min_interval":"59s"}}`:                                                   `alerts.min_interval is from 1m to 168h, not 59s`,
		`{"alerts":{"on":[],"min_interval":"169h"}}`:                                                  `alerts.min_interval is from 1m to 168h, not 169h`,
		`{"alerts":{"on":[],"subject":"a\u0085b","min_interval":"1h"}}`:                               `alerts.subject has a line break`,
		`{"signatures":[{"algorithm":"hmac-sha256"},{"algorithm":"ed25519","key":"base64"}]}`:         `signatures have two algorithms, but one key`,
		`{"signatures":[{"algorithm":"ed25519","key":"text"}]}`:                                       `signatures[0] is ed25519: its key is base64`,
		`{"signatures":[{"algorithm":"hmac-sha256","ed25519":"{sig}"}]}`:                              `signatures[0].ed25519 has the unknown placeholder {sig}`,
		`{"signatures":[{"header":"signature","algorithm":"hmac-sha256"}],"message_signatures":true}`: `message_signatures sets the header Signature, which the dialect has already`,
		`{"event_id_pattern":"("}`:                                                                    `event_id_pattern is not a regular expression: `,
		`{"event_id_pattern":"^ord_"}`:                                                                `event_id_pattern does not match the ids that Waybill makes, such as evt_`,
		`{"retry":{"schedule":["999ms"]}}`:                                                            `retry.schedule[0] is from 1s to 168h, not 999ms`,
		`{"retry":{"exponential":{"first":"999ms","factor":2,"retries":1}}}`:                          `retry.exponential.first is from 1s to 168h`,
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
