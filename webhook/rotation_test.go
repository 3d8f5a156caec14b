package webhook_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestDialect_ImportSecret(t *testing.T) {
	t.Parallel()
	base64Of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, tc := range []struct {
		dialect, text string
		good          bool
	}{
		{"standard", base64Of(24), true},
		{"standard", base64Of(64), true},
		{"standard", base64Of(23), false},
		{"standard", base64Of(65), false},
		{"standard", strings.TrimPrefix(base64Of(32), "whsec_"), false},
		{"standard", "whsec_not base64 at all, not at all", false},
		{"tradly", base64Of(32), true},
		{"tradly", "a client secret", false},
		{"tradevine", "a client secret", true},
		{"tradevine", "12345678", true},
		{"tradevine", "1234567", false},
		{"tradevine", strings.Repeat("x", 256), true},
		{"tradevine", strings.Repeat("x", 257), false},
		{"tradevine", "", false},
		{"tradevine", "two lines\nof text", false},
		{"tradevine", "ends in space ", false},
		{"tradevine", "not \xff utf-8", false},
		{"tradevine", webhook.NewEd25519Secret(make([]byte, 32)).Reveal(), false},
		{"rheo", "hemlig nyckel åäö", true},
	} {
		secret, err := dialect(t, tc.dialect).ImportSecret("secret", tc.text, webhook.HMACSHA256)
		require.Equal(t, tc.good, err == nil, "%s %q", tc.dialect, tc.text)
		if tc.good {
			require.Equal(t, tc.text, secret.Reveal())
			continue
		}
		require.Equal(t, webhook.CodeInvalid, webhook.ErrorCode(err))
		if tc.text != "" {
			require.NotContains(t, err.Error(), tc.text)
		}
	}
}

func TestSigningKeys_Rotate(t *testing.T) {
	t.Parallel()
	at := at.Truncate(time.Microsecond)
	d := dialect(t, "standard")
	rotate := func(k webhook.SigningKeys, secret webhook.Secret, overlap time.Duration, when time.Time) (webhook.SigningKeys, error) {
		length := webhook.Duration(overlap)
		r, err := d.NewRotation(secret, &length, nil, when)
		require.NoError(t, err)
		return k, k.Rotate(r)
	}
	third := webhook.SecretFromText("a third")
	r, err := d.NewRotation(newSecret, nil, nil, at)
	require.NoError(t, err)
	rotated := webhook.SigningKeys{Current: oldSecret}
	require.NoError(t, rotated.Rotate(r))
	until := at.Add(24 * time.Hour)
	require.Equal(t, webhook.SigningKeys{Current: newSecret, Previous: oldSecret, PreviousUntil: &until}, rotated)
	require.Equal(t, &until, d.PreviousSignsUntil(&rotated, at))
	require.Nil(t, d.PreviousSignsUntil(&rotated, until))

	same, err := rotate(rotated, third, time.Hour, until.Add(-time.Second))
	require.Equal(t, webhook.CodeConflict, webhook.ErrorCode(err))
	require.Equal(t, rotated, same, "nothing is lost by a second rotation")
	_, err = rotate(rotated, third, time.Hour, until)
	require.NoError(t, err, "the overlap is over")
	_, err = rotate(rotated, newSecret, time.Hour, until)
	require.Equal(t, webhook.CodeInvalid, webhook.ErrorCode(err))
	back := rotated
	none := webhook.Duration(0)
	r, err = d.NewRotation(oldSecret, &none, nil, at)
	require.NoError(t, err)
	require.NoError(t, back.Rotate(r), "the way back")
	require.Equal(t, webhook.SigningKeys{Current: oldSecret}, back)

	// What was brought along with a switch that is later than the usual overlap.
	switchAt := at.Add(48 * time.Hour)
	rheo := dialect(t, "rheo")
	r, err = rheo.NewRotation(newSecret, nil, &switchAt, at)
	require.NoError(t, err)
	require.Equal(t, &switchAt, r.Until)
	_, err = d.NewRotation(newSecret, nil, &switchAt, at)
	require.ErrorContains(t, err, "switch_at", "all headers list signatures")
}
