package webhook_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// Names and descriptions are shown to people by terminals, logs and mails.
func TestTexts_ShowAsWhatTheyAre(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]bool{
		"a\u200fb Café Öl 日本 👍🏽": true, "a\x1b[31m": false, "a\u009b2J": false, "a\u202eb": false, "a\nb": false, "a\tb": false, "a\x7f": false,
	} {
		tenant := &webhook.Tenant{ID: "acme", Name: text, Dialect: "standard"}
		requireField(t, tenant.Validate(nil), "name", line, text)
		require.NoError(t, tenant.Validate(tenant), "what was accepted once stays")
		requireField(t, (&webhook.APIKey{Name: text, Scopes: []webhook.Scope{webhook.ScopeRead}}).Validate(), "name", line, text)

		e := &webhook.Endpoint{URL: "https://r.example/h", EventTypes: []string{"*"}, Description: text}
		lines := line || text == "a\nb" || text == "a\tb"
		requireField(t, e.Validate(webhook.Limits{Dialect: &webhook.Dialect{Name: "standard"}}), "description", lines, text)
		require.NoError(t, e.Validate(webhook.Limits{Dialect: &webhook.Dialect{Name: "standard"}, Stored: e}), "what was accepted once stays")
	}
	requireField(t, (&webhook.Tenant{ID: "acme", Name: "N", Dialect: "standard", ContactEmail: "a\x1b@b.example"}).Validate(nil), "contact_email", false, "")
}

func TestCleanLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a\x00b\nc\x7f": "a b c ", "a\xffb": "a\uFFFDb", "a\u009bb\u202ec": "a b c", "éééé": "éééé",
		"éééééé": "ééééé", "abcdefghijkl": "abcdefghij", "abcdefghié": "abcdefghi", "abcdefgh€": "abcdefgh",
	} {
		got := webhook.CleanLine(text, 10)
		require.Equal(t, want, got)
		require.True(t, utf8.ValidString(got))
	}
}

func requireField(t *testing.T, err error, field string, good bool, text string) {
	t.Helper()
	if good {
		require.NoError(t, err, "%q", text)
		return
	}
	var invalid *webhook.Error
	require.ErrorAs(t, err, &invalid, "%q", text)
	require.Equal(t, webhook.CodeInvalid, invalid.Code)
	require.Len(t, invalid.Fields, 1)
	require.Equal(t, field, invalid.Fields[0].Field)
}
