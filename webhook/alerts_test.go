package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// A dialect that says nothing of mail has a sensible rule; one that does is obeyed to the letter.
func TestDialect_Mail(t *testing.T) {
	t.Parallel()
	oak := &webhook.Tenant{Name: "Oak & Pine", URL: "https://oak.example"}
	tradly, standard := dialect(t, "tradly"), dialect(t, "standard")
	require.Equal(t, "Tradly webhook delivery issues for https://oak.example", tradly.MailSubject(oak, "hooks.example"))
	require.Equal(t, "Webhook delivery issues for https://oak.example at hooks.example", standard.MailSubject(oak, "hooks.example"))
	require.Equal(t, "Webhook delivery issues for Oak at hooks.example", standard.MailSubject(&webhook.Tenant{Name: "Oak"}, "hooks.example"))
	require.Equal(t, "Webhooks for https://oak.example work again at hooks.example", webhook.WorksAgainSubject(oak, "hooks.example"))
	require.Equal(t, time.Hour, standard.MailInterval())
	for _, kind := range webhook.Troubles {
		require.True(t, standard.Tells(kind))
		require.True(t, tradly.Tells(kind))
	}
	require.False(t, standard.TellsNothing())

	some := &webhook.Dialect{Alerts: &webhook.Alerts{On: []webhook.Trouble{webhook.TroubleDisabled}, MinInterval: webhook.Duration(2 * time.Hour)}}
	require.True(t, some.Tells(webhook.TroubleDisabled))
	require.False(t, some.Tells(webhook.TroubleExhausted))
	require.Equal(t, 2*time.Hour, some.MailInterval())
	require.True(t, (&webhook.Dialect{Alerts: &webhook.Alerts{}}).TellsNothing())
}
