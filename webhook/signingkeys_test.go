package webhook_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

var (
	oldSecret = webhook.NewSecret(secretKey)
	newSecret = webhook.NewSecret([]byte(strings.Repeat("n", webhook.SecretBytes)))
)

// signed returns the headers of a request at a moment.
func signed(t *testing.T, d *webhook.Dialect, keys webhook.SigningKeys, when time.Time) http.Header {
	t.Helper()
	list, err := d.RequestHeaders(webhook.Request{EventID: "evt_1", Body: []byte(`{}`), At: when, Keys: keys})
	require.NoError(t, err)
	out := http.Header{}
	for _, h := range list {
		out.Set(h.Name, h.Value)
	}
	return out
}

func TestSigningKeys_Overlap(t *testing.T) {
	t.Parallel()
	until := at.Add(time.Hour)
	rotated := webhook.SigningKeys{Current: newSecret, Previous: oldSecret, PreviousUntil: &until}
	for _, tc := range []struct {
		name     string
		when     time.Time
		old, new bool
	}{
		{"at once", at, true, true},
		{"until the overlap ends", until.Add(-time.Nanosecond), true, true},
		{"at its end", until, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, name := range []string{"standard", "tradly"} {
				d := dialect(t, name)
				headers := signed(t, d, rotated, tc.when)
				for secret, want := range map[webhook.Secret]bool{oldSecret: tc.old, newSecret: tc.new} {
					verifier, err := standardwebhooks.NewWebhook(secret.Reveal())
					require.NoError(t, err)
					require.Equal(t, want, verifier.VerifyIgnoringTimestamp([]byte(`{}`), headers) == nil)
				}
				prints := []string{newSecret.Fingerprint()}
				if tc.old {
					prints = append(prints, oldSecret.Fingerprint())
				}
				require.Equal(t, prints, d.SignedWith(&webhook.Request{Keys: rotated, At: tc.when}))
			}
		})
	}
	list := strings.Fields(signed(t, dialect(t, "standard"), rotated, at).Get("webhook-signature"))
	require.Len(t, list, 2, "one header, a space between two")
	for _, one := range list {
		require.True(t, strings.HasPrefix(one, "v1,"))
	}
}

// A header of one signature goes over at once, or at the set time.
func TestSigningKeys_SwitchAt(t *testing.T) {
	t.Parallel()
	switchAt, until := at.Add(time.Minute), at.Add(time.Hour)
	for _, name := range []string{"rheo", "tradevine", "auction-excellence"} {
		d := dialect(t, name)
		header := d.Signatures[0].Header
		old := signed(t, d, webhook.SigningKeys{Current: oldSecret}, at).Get(header)
		fresh := signed(t, d, webhook.SigningKeys{Current: newSecret}, at).Get(header)
		require.NotEqual(t, old, fresh)

		atOnce := webhook.SigningKeys{Current: newSecret, Previous: oldSecret, PreviousUntil: &until}
		require.Equal(t, fresh, signed(t, d, atOnce, at).Get(header))
		require.Equal(t, []string{newSecret.Fingerprint()}, d.SignedWith(&webhook.Request{Keys: atOnce, At: at}))

		later := atOnce
		later.SwitchAt = &switchAt
		require.Equal(t, old, signed(t, d, later, at).Get(header))
		require.Equal(t, []string{oldSecret.Fingerprint()}, d.SignedWith(&webhook.Request{Keys: later, At: at}))
		require.Equal(t, []string{newSecret.Fingerprint()}, d.SignedWith(&webhook.Request{Keys: later, At: switchAt}))
		require.NotEqual(t, old, signed(t, d, later, switchAt).Get(header))
	}
	// Tradly has both kinds of header.
	both := webhook.SigningKeys{Current: newSecret, Previous: oldSecret, PreviousUntil: &until, SwitchAt: &switchAt}
	require.Equal(t, []string{newSecret.Fingerprint(), oldSecret.Fingerprint()}, dialect(t, "tradly").SignedWith(&webhook.Request{Keys: both, At: at}))
}

func TestSecret_Fingerprint(t *testing.T) {
	t.Parallel()
	require.Regexp(t, "^[0-9a-f]{8}$", oldSecret.Fingerprint())
	require.NotEqual(t, oldSecret.Fingerprint(), newSecret.Fingerprint())
	require.Empty(t, webhook.Secret{}.Fingerprint())
}
