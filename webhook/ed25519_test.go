package webhook_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestSecret_CheckEd25519(t *testing.T) {
	t.Parallel()
	good := webhook.NewEd25519Secret(seed)
	key, err := base64.StdEncoding.DecodeString(good.Reveal()[len(webhook.PrivateKeyPrefix):])
	require.NoError(t, err)
	forged := bytes.Clone(key)
	forged[63] ^= 1
	text := func(b []byte) webhook.Secret {
		return webhook.SecretFromText(webhook.PrivateKeyPrefix + base64.StdEncoding.EncodeToString(b))
	}
	require.NoError(t, good.CheckEd25519())
	require.NoError(t, text(key[:32]).CheckEd25519(), "the seed alone")
	for want, bad := range map[string]webhook.Secret{
		"neither 32 bytes":      text(key[:63]),
		"not base64":            webhook.SecretFromText("whsk_hush-hush"),
		"not base64 after whsk": webhook.NewSecret(secretKey),
		"is not that of its":    text(forged),
	} {
		err := bad.CheckEd25519()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hush")
	}
	require.NotContains(t, fmt.Sprintf("%v %#v", good, good), good.Reveal()[5:])
}

// The thumbprint of RFC 8037, appendix A.3, for the key of its appendix A.2.
func TestPublicKey_ID(t *testing.T) {
	t.Parallel()
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	require.NoError(t, err)
	public, err := webhook.NewEd25519Secret(seed).PublicKey()
	require.NoError(t, err)
	require.Equal(t, webhook.JWK{
		KeyType: "OKP", Curve: "Ed25519", X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
		KeyID: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", Use: "sig", Algorithm: "EdDSA",
	}, public.JWK())
}

func TestSigningKeys_PublicKeys(t *testing.T) {
	t.Parallel()
	until := at.Add(time.Hour)
	first, second := webhook.NewEd25519Secret(seed), webhook.NewEd25519Secret(bytes.Repeat([]byte{7}, 32))
	one, err := first.PublicKey()
	require.NoError(t, err)
	two, err := second.PublicKey()
	require.NoError(t, err)
	rotated := webhook.SigningKeys{Current: second, Previous: first, PreviousUntil: &until}
	require.Equal(t, []webhook.PublicKey{two, one}, rotated.PublicKeys(at))
	require.Equal(t, []webhook.PublicKey{two}, rotated.PublicKeys(until), "the overlap is over")
	moved := webhook.SigningKeys{Current: otherSecret, Previous: first, PreviousUntil: &until}
	require.Equal(t, []webhook.PublicKey{one}, moved.PublicKeys(at))
	require.Empty(t, (&webhook.SigningKeys{Current: otherSecret}).PublicKeys(at))
}

func TestAlsoSignAs_AlsoIn(t *testing.T) {
	t.Parallel()
	standard := dialect(t, "standard")
	loaded := map[string]*webhook.Dialect{"standard": standard}
	a := &webhook.AlsoSignAs{Dialect: "standard", Until: at}
	before, err := a.AlsoIn(loaded, at.Add(-time.Microsecond))
	require.NoError(t, err)
	require.Same(t, standard, before)
	after, err := a.AlsoIn(loaded, at)
	require.NoError(t, err)
	require.Nil(t, after, "it has ended")
	_, err = a.AlsoIn(nil, at.Add(-time.Hour))
	require.ErrorContains(t, err, `"standard" is not loaded`)
	var none *webhook.AlsoSignAs
	got, err := none.AlsoIn(nil, at)
	require.NoError(t, err)
	require.Nil(t, got)
}

// Two dialects that give one header two values cannot both sign.
func TestEndpoint_Validate_AlsoSignAsContradicts(t *testing.T) {
	t.Parallel()
	other := *dialect(t, "standard")
	other.Name = "other"
	for want, change := range map[string]func(*webhook.Dialect){
		"webhook-id": func(d *webhook.Dialect) { d.Headers = map[string]string{"Webhook-Id": "{delivery_id}"} },
		"webhook-signature": func(d *webhook.Dialect) {
			d.Signatures = []webhook.Signature{{Header: "webhook-signature", Algorithm: webhook.HMACSHA256}}
		},
		"": func(*webhook.Dialect) {},
	} {
		second := other
		change(&second)
		e := endpoint(func(e *webhook.Endpoint) {
			e.AlsoSignAs = &webhook.AlsoSignAs{Dialect: "other", Until: at.Add(time.Hour)}
		})
		err := e.Validate(webhook.Limits{Dialect: dialect(t, "standard"), Dialects: map[string]*webhook.Dialect{"other": &second}, Now: at})
		if want == "" {
			require.NoError(t, err, "what is the same is sent once")
			continue
		}
		require.Equal(t, []string{"also_sign_as.dialect"}, fields(t, err), want)
	}
}

// A secret that a rotation brought along and that only the first dialect can read leaves the first one's signature.
func TestRequestHeaders_AlsoSignAs_UnreadableSecret(t *testing.T) {
	t.Parallel()
	got := arrival(t, dialect(t, "rheo"), webhook.Request{
		Keys: webhook.SigningKeys{Current: webhook.SecretFromText("brought along")}, Also: dialect(t, "standard"),
	})
	require.Contains(t, got.Headers, "x-rheo-signature")
	require.NotContains(t, got.Headers, "webhook-signature")
}

// A secret that the second dialect cannot read stands in its way while it is valid, and not after that, though it is still stored. The
// attempt names the secrets that signed.
func TestRequestHeaders_AlsoSignAs_EndedSecret(t *testing.T) {
	t.Parallel()
	until, switchAt := at.Add(time.Hour), at.Add(time.Minute)
	text := webhook.SecretFromText("brought along")
	keys := webhook.SigningKeys{Current: newSecret, Previous: text, PreviousUntil: &until, SwitchAt: &switchAt}
	for _, tc := range []struct {
		name   string
		when   time.Time
		second bool
		with   webhook.Secret
	}{
		{"before the switch", at, false, text},
		{"after the switch", switchAt, false, newSecret},
		{"after the end", until, true, newSecret},
	} {
		r := webhook.Request{EventID: "evt_1", Body: []byte(`{}`), At: tc.when, Keys: keys, Also: dialect(t, "standard")}
		require.Equal(t, tc.second, r.Also.CanSign(tc.when, keys), tc.name)
		require.Equal(t, tc.second, arrival(t, dialect(t, "rheo"), r).Headers["webhook-signature"] != "", tc.name)
		require.Equal(t, []string{tc.with.Fingerprint()}, dialect(t, "rheo").SignedWith(&r), tc.name)
	}
}
