package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestVerification_Validate(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	longest := strings.Join([]string{label, label, label, label[:61]}, ".")
	require.Len(t, longest, 253)
	for name, test := range map[string]struct {
		v    webhook.Verification
		want string
	}{
		"token":        {webhook.Verification{Method: "token"}, ""},
		"cloudevents":  {webhook.Verification{Method: "cloudevents", Origin: "events.example.com"}, ""},
		"longest":      {webhook.Verification{Method: "cloudevents", Origin: longest}, ""},
		"too long":     {webhook.Verification{Method: "cloudevents", Origin: longest[:251] + ".aa"}, "verification.origin"},
		"no method":    {webhook.Verification{}, "verification.method"},
		"other method": {webhook.Verification{Method: "callback"}, "verification.method"},
		"no origin":    {webhook.Verification{Method: "cloudevents"}, "verification.origin"},
		"odd origin":   {webhook.Verification{Method: "token", Origin: "events.example.com"}, "verification.origin"},
		"a header":     {webhook.Verification{Method: "cloudevents", Origin: "a.example\r\nX-Y: z"}, "verification.origin"},
		"a URL":        {webhook.Verification{Method: "cloudevents", Origin: "https://a.example"}, "verification.origin"},
		"all origins":  {webhook.Verification{Method: "cloudevents", Origin: "*"}, "verification.origin"},
	} {
		e := webhook.Endpoint{URL: "https://r.example", EventTypes: []string{"*"}, Verification: &test.v}
		err := e.Validate(webhook.Limits{Dialect: &webhook.Dialect{Name: "d"}})
		if test.want == "" {
			require.NoError(t, err, name)
			continue
		}
		var found *webhook.Error
		require.ErrorAs(t, err, &found, name)
		require.Len(t, found.Fields, 1, name)
		require.Equal(t, test.want, found.Fields[0].Field, name)
	}
}

func TestAllowsOrigin(t *testing.T) {
	t.Parallel()
	const origin = "events.example.com"
	for _, allowed := range []string{"*", " * ", origin, "Events.Example.com"} {
		require.True(t, webhook.AllowsOrigin(allowed, origin), allowed)
	}
	for _, allowed := range []string{"", "example.com", "other.example.com", "*.example.com", origin + ", *"} {
		require.False(t, webhook.AllowsOrigin(allowed, origin), allowed)
	}
}

func TestEndpoint_BoundRate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ allowed, asked, want int }{
		{0, 0, 0}, {0, 7, 7}, {120, 0, 2}, {120, 1, 1}, {120, 100, 2}, {119, 100, 1}, {1, 0, 1}, {60 * webhook.MaxRecoveryRate, 0, webhook.MaxRecoveryRate},
	} {
		e := webhook.Endpoint{AllowedRate: test.allowed}
		require.Equal(t, test.want, e.BoundRate(test.asked), "%+v", test)
	}
}
