package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestParseTraceparent(t *testing.T) {
	t.Parallel()
	const (
		trace = "4bf92f3577b34da6a3ce929d0e0e4736"
		span  = "00f067aa0ba902b7"
		good  = "00-" + trace + "-" + span + "-01"
	)
	for name, test := range map[string]struct{ given, wants string }{
		"sampled":                     {good, good},
		"not sampled":                 {"00-" + trace + "-" + span + "-00", "00-" + trace + "-" + span + "-00"},
		"white space around it":       {" \t" + good + " ", good},
		"random, level 2":             {"00-" + trace + "-" + span + "-03", "00-" + trace + "-" + span + "-03"},
		"flags that nobody knows":     {"00-" + trace + "-" + span + "-fd", "00-" + trace + "-" + span + "-01"},
		"a later version":             {"01-" + trace + "-" + span + "-01", good},
		"a later version with more":   {"cc-" + trace + "-" + span + "-01-what-comes", good},
		"the version that is none":    {"ff-" + trace + "-" + span + "-01", ""},
		"version 00 with more":        {good + "-more", ""},
		"a later version, run on":     {"01-" + trace + "-" + span + "-01more", ""},
		"no trace":                    {"00-" + strings.Repeat("0", 32) + "-" + span + "-01", ""},
		"no span":                     {"00-" + trace + "-" + strings.Repeat("0", 16) + "-01", ""},
		"upper case":                  {strings.ToUpper(good), ""},
		"no hexadecimal digit":        {"00-" + trace[:31] + "g-" + span + "-01", ""},
		"flags that are none":         {"00-" + trace + "-" + span + "-0x", ""},
		"another separator":           {strings.ReplaceAll(good, "-", "_"), ""},
		"one character less":          {good[:54], ""},
		"two, joined as by a proxy":   {good + "," + good, ""},
		"nothing":                     {"", ""},
		"a long text":                 {strings.Repeat("0", 1<<20), ""},
		"a line break":                {good[:54] + "\n", ""},
		"a multi-byte character":      {"00-" + trace[:30] + "é-" + span + "-01", ""},
		"a NUL in a later version":    {"01-" + trace + "-" + span + "-01-\x00", good},
		"a NUL":                       {good[:54] + "\x00", ""},
		"white space within":          {"00-" + trace + "-" + span + "- 1", ""},
		"a quote, for whom builds it": {`00-` + trace + `-` + span + `-"1`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, webhook.Traceparent(test.wants), webhook.ParseTraceparent(test.given))
		})
	}
}

// A dialect of a platform whose document does not know it sends no trace. Where it is sent, it changes no other header, no signature, and
// gives way to one that the endpoint has of its own.
func TestDialect_RequestHeaders_Traceparent(t *testing.T) {
	t.Parallel()
	const traced webhook.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, sends := range map[string]bool{"standard": true, "rheo": false, "tradly": false, "tradevine": false, "auction-excellence": false} {
		d := dialect(t, name)
		r := webhook.Request{EventID: "evt_1", EventType: "user.created", DeliveryID: deliveryID(7), Body: []byte(`{}`), At: at, MessageSignatures: true,
			URL: "https://example.com/hook", Keys: webhook.SigningKeys{Current: webhook.NewSecret(secretKey)}}
		without, err := d.RequestHeaders(r)
		require.NoError(t, err)
		r.Traceparent = traced
		with, err := d.RequestHeaders(r)
		require.NoError(t, err)
		if sends {
			require.Equal(t, webhook.Header{Name: "traceparent", Value: string(traced)}, with[0], name)
			with = with[1:]
		}
		require.ElementsMatch(t, without, with, name)
	}
	own, err := dialect(t, "standard").RequestHeaders(webhook.Request{
		Keys: webhook.SigningKeys{Current: webhook.NewSecret(secretKey)}, Custom: map[string]string{"Traceparent": "the endpoint's"}, Traceparent: traced,
	})
	require.NoError(t, err)
	require.Equal(t, webhook.Header{Name: "Traceparent", Value: "the endpoint's"}, own[1], "of two with the same name the later one is sent")
}
