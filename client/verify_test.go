package client_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/client"
	"waybill/webhook"
)

// at is when requests are signed in these tests.
var at = time.Date(2026, 5, 27, 14, 32, 0, 123456789, time.UTC)

func clock(t time.Time) client.VerifyOption { return client.WithClock(func() time.Time { return t }) }

var (
	first   = webhook.NewSecret(bytes.Repeat([]byte{1}, 32))
	second  = webhook.NewSecret(bytes.Repeat([]byte{2}, 32))
	private = webhook.NewEd25519Secret(bytes.Repeat([]byte{3}, 32))
	wider   = webhook.NewEd25519Secret(bytes.Repeat([]byte{4}, 32))
)

// signed is a request as Waybill sends it.
func signed(t *testing.T, d *webhook.Dialect, keys webhook.SigningKeys, change ...func(*webhook.Request)) (http.Header, []byte) {
	t.Helper()
	e := &webhook.Event{
		ID: "evt_1", Type: "order.confirmed", OccurredAt: at, Data: json.RawMessage(`{"name":"é😀","list":[1,2.50]}`),
		Attributes: map[string]string{"auction_id": "9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13"},
	}
	if len(d.EventTypes) > 0 {
		e.Type = d.EventTypes[0].Type
	}
	r := webhook.Request{EventID: e.ID, EventType: e.Type, Body: d.Render(e).For(webhook.DeliveryID{}), At: at, Keys: keys}
	for _, f := range change {
		f(&r)
	}
	headers, err := d.RequestHeaders(r)
	require.NoError(t, err)
	out := http.Header{}
	for _, h := range headers {
		out.Set(h.Name, h.Value)
	}
	return out, r.Body
}

// Each dialect that comes with Waybill is known, with all of its signature headers.
func TestVerify_EveryDialect(t *testing.T) {
	t.Parallel()
	for name, d := range readDialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header, body := signed(t, d, webhook.SigningKeys{Current: first})
			verify := func(secret string, h http.Header, b []byte, more ...client.VerifyOption) error {
				return client.Verify(name, secret, h, b, append(more, clock(at))...)
			}
			require.NoError(t, verify(first.Reveal(), header, body))
			require.NoError(t, verify(first.Reveal()+"\n", header, body), "as a file has it")
			require.ErrorIs(t, verify(second.Reveal(), header, body), client.ErrWrongSignature)
			require.NoError(t, verify(second.Reveal(), header, body, client.OrSecret(first.Reveal())))
			require.ErrorIs(t, verify("", header, body), client.ErrBadSecret)
			require.ErrorIs(t, verify(first.Reveal(), http.Header{}, body), client.ErrMissingHeader)

			var indented bytes.Buffer
			require.NoError(t, json.Indent(&indented, body, "", "  "))
			err := verify(first.Reveal(), header, indented.Bytes())
			require.ErrorIs(t, err, client.ErrWrongSignature)
			require.ErrorContains(t, err, "JSON that was parsed and written again has other bytes")
			require.NotContains(t, err.Error(), first.Reveal())

			lower := http.Header{}
			for key, values := range header {
				lower[strings.ToLower(key)] = values
			}
			require.NoError(t, verify(first.Reveal(), lower, body), "names as another server has them")

			for _, s := range d.Signatures {
				without, wrong, twice := header.Clone(), header.Clone(), header.Clone()
				without.Del(s.Header)
				err := verify(first.Reveal(), without, body)
				var why *client.VerifyError
				require.ErrorAs(t, err, &why)
				require.Equal(t, client.ErrMissingHeader, why.Reason)
				require.Equal(t, strings.ToLower(s.Header), strings.ToLower(why.Header))
				value := []byte(header.Get(s.Header))
				value[len(value)-5] ^= 1
				wrong.Set(s.Header, string(value))
				require.ErrorIs(t, verify(first.Reveal(), wrong, body), client.ErrWrongSignature, "each header is verified")
				twice.Add(s.Header, header.Get(s.Header))
				require.ErrorIs(t, verify(first.Reveal(), twice, body), client.ErrMalformed)
			}
		})
	}
}

// Where a signature covers the timestamp, it may be five minutes away and no more.
func TestVerify_Age(t *testing.T) {
	t.Parallel()
	for name, d := range readDialects() {
		dated := slices.ContainsFunc(d.Signatures, func(s webhook.Signature) bool { return strings.Contains(string(s.Input), "{timestamp}") })
		header, body := signed(t, d, webhook.SigningKeys{Current: first})
		for away, want := range map[time.Duration]error{
			5 * time.Minute: nil, 5*time.Minute + time.Second: client.ErrTooOld,
			-5 * time.Minute: nil, -5*time.Minute - time.Second: client.ErrTooNew,
		} {
			err := client.Verify(name, first.Reveal(), header, body, clock(at.Truncate(time.Second).Add(away)))
			if !dated {
				want = nil
			}
			require.ErrorIs(t, err, want, "%s %s", name, away)
			require.NoError(t, client.Verify(name, first.Reveal(), header, body, clock(at.Add(away)), client.WithTolerance(time.Hour)))
		}
	}
	header, body := signed(t, readDialects()["standard"], webhook.SigningKeys{Current: first})
	require.ErrorIs(t, client.Verify("standard", first.Reveal(), header, body), client.ErrTooOld, "the clock is the machine's without an option")
	for _, stamp := range []string{"soon", "1779892320.5", strconv.FormatInt(at.UnixMilli(), 10), "-9223372036854775809"} {
		header.Set("webhook-timestamp", stamp)
		require.ErrorIs(t, client.Verify("standard", first.Reveal(), header, body, clock(at)), client.ErrMalformed)
	}
	header.Set("webhook-timestamp", "-9223372036854775808")
	require.ErrorIs(t, client.Verify("standard", first.Reveal(), header, body, clock(at)), client.ErrWrongSignature)
}

// While a rotation lasts, a header lists two signatures; a receiver may know one secret or both.
func TestVerify_Rotation(t *testing.T) {
	t.Parallel()
	d, until := readDialects()["standard"], at.Add(time.Hour)
	header, body := signed(t, d, webhook.SigningKeys{Current: second, Previous: first, PreviousUntil: &until})
	require.Len(t, strings.Fields(header.Get("webhook-signature")), 2)
	for _, secret := range []webhook.Secret{first, second} {
		require.NoError(t, client.Verify("standard", secret.Reveal(), header, body, clock(at)))
	}
	header.Set("webhook-signature", strings.Repeat("v1,AAAA ", 10)+header.Get("webhook-signature"))
	require.ErrorIs(t, client.Verify("standard", first.Reveal(), header, body, clock(at)), client.ErrWrongSignature, "ten are looked at")
}

func TestVerify_Ed25519(t *testing.T) {
	t.Parallel()
	d, until := readDialects()["standard"], at.Add(time.Hour)
	key := func(s webhook.Secret) string {
		public, err := s.PublicKey()
		require.NoError(t, err)
		return public.String()
	}
	header, body := signed(t, d, webhook.SigningKeys{Current: private})
	require.NoError(t, client.Verify("standard", key(private), header, body, clock(at)))
	require.ErrorIs(t, client.Verify("standard", key(wider), header, body, clock(at)), client.ErrWrongSignature)
	require.ErrorIs(t, client.Verify("standard", key(private), header, append(body, ' '), clock(at)), client.ErrWrongSignature)
	require.ErrorIs(t, client.Verify("standard", first.Reveal(), header, body, clock(at)), client.ErrWrongSignature)
	err := client.Verify("standard", private.Reveal(), header, body, clock(at))
	require.ErrorIs(t, err, client.ErrBadSecret)
	require.NotContains(t, err.Error(), private.Reveal()[5:])
	for _, bad := range []string{"whpk_", "whpk_AAAA", "whpk_?", "whsec_?", "whsec_", " whsec_\n"} {
		require.ErrorIs(t, client.Verify("standard", bad, header, body, clock(at)), client.ErrBadSecret, bad)
	}
	require.ErrorIs(t, client.Verify("rheo", key(private), http.Header{"X-Rheo-Signature": {"sha256=00"}}, body), client.ErrBadSecret)

	// From HMAC to Ed25519: both sign until the overlap ends.
	header, body = signed(t, d, webhook.SigningKeys{Current: private, Previous: first, PreviousUntil: &until})
	for _, secret := range []string{key(private), first.Reveal()} {
		require.NoError(t, client.Verify("standard", secret, header, body, clock(at)))
	}
	// The public key must not do as a secret.
	forged, body := signed(t, d, webhook.SigningKeys{Current: webhook.SecretFromText("whsec_" + strings.TrimPrefix(key(private), "whpk_"))})
	require.ErrorIs(t, client.Verify("standard", key(private), forged, body, clock(at)), client.ErrWrongSignature)
}

// A receiver that moves from one dialect's headers to another's verifies with either.
func TestVerify_AlsoSignAs(t *testing.T) {
	t.Parallel()
	all := readDialects()
	header, body := signed(t, all["rheo"], webhook.SigningKeys{Current: first}, func(r *webhook.Request) { r.Also = all["standard"] })
	require.NoError(t, client.Verify("rheo", first.Reveal(), header, body, clock(at)))
	require.NoError(t, client.Verify("standard", first.Reveal(), header, body, clock(at)))
}

// Tradly's own header covers the id alone: it must not be enough for a body that somebody changed.
func TestVerify_TradlyProtectsTheBody(t *testing.T) {
	t.Parallel()
	header, body := signed(t, readDialects()["tradly"], webhook.SigningKeys{Current: first})
	changed := bytes.Replace(body, []byte("2.50"), []byte("9.50"), 1)
	require.NotEqual(t, body, changed)
	require.ErrorIs(t, client.Verify("tradly", first.Reveal(), header, changed, clock(at)), client.ErrWrongSignature)
	header.Del("webhook-signature")
	require.ErrorIs(t, client.Verify("tradly", first.Reveal(), header, changed, clock(at)), client.ErrMissingHeader)
}

func TestVerify_UnknownDialect(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, client.Verify("klingon", first.Reveal(), http.Header{}, nil), client.ErrUnknownDialect)
}
