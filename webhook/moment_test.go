package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestParseMoment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-05-27T14:32:00Z":              "2026-05-27T14:32:00Z",
		"2026-05-27t14:32:00z":              "2026-05-27T14:32:00Z",
		"2026-05-27T14:32:00.123456789z":    "2026-05-27T14:32:00.123456789Z",
		"2026-05-27t14:32:00+02:00":         "2026-05-27T12:32:00Z",
		"2026-05-27T14:32:00-00:00":         "2026-05-27T14:32:00Z",
		"2016-12-31T23:59:60Z":              "2017-01-01T00:00:00Z",
		"1990-12-31T15:59:60-08:00":         "1991-01-01T00:00:00Z",
		"2016-12-31T23:59:60.25Z":           "2017-01-01T00:00:00.25Z",
		"2026-05-27T14:32:00.000000000000Z": "2026-05-27T14:32:00Z",
	} {
		at, err := webhook.ParseMoment(text)
		require.NoError(t, err, text)
		require.Equal(t, want, at.UTC().Format(time.RFC3339Nano), text)
	}
	for _, text := range []string{
		"", "now", "2026-05-27", "2026-05-27T14:32Z", "2026-05-27 14:32:00Z", "2026-05-27T14:32:00", "2026-05-27T14:32:00 02:00",
		"2026-05-27T14:32:60Z", "2026-05-27T14:32:61Z", "2026-02-30T14:32:00Z", "2026-05-27T24:00:00Z", "2026-05-27T14:32:00,5Z",
		"2026-05-27T1:32:00Z", "2026-05-27T14:32:00+2:00", "2026-05-27T14:32:00+25:00", "２026-05-27T14:32:00Z",
	} {
		_, err := webhook.ParseMoment(text)
		require.ErrorContains(t, err, "RFC 3339", text)
	}
}
