package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

var secretKey = bytes.Repeat([]byte{0x00, 0xff, 0x5a, 0xa5}, webhook.SecretBytes/4)

func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(strings.Join(parts, "")))
	return h.Sum(nil)
}

// attempt renders an event as a dialect does and returns its headers and body.
func attempt(t *testing.T, d *webhook.Dialect, eventType string, when time.Time, custom map[string]string) (http.Header, string) {
	t.Helper()
	e := &webhook.Event{
		ID: "evt_1", Type: eventType, OccurredAt: at, Data: json.RawMessage(`{"name":"é😀"}`),
		Attributes: map[string]string{"auction_id": auctionID},
	}
	body := d.Render(e).For(deliveryID(7))
	list, err := d.RequestHeaders(webhook.Request{
		EventID: e.ID, EventType: e.Type, DeliveryID: deliveryID(7), Body: body, At: when,
		Keys: webhook.SigningKeys{Current: webhook.NewSecret(secretKey)}, Custom: custom,
	})
	require.NoError(t, err)
	out := http.Header{}
	for _, h := range list {
		require.Empty(t, out.Values(h.Name), "%s is there twice", h.Name)
		out.Set(h.Name, h.Value)
	}
	return out, string(body)
}

// TestDialect_RequestHeaders computes every signature again, by the documents' formulas.
func TestDialect_RequestHeaders(t *testing.T) {
	t.Parallel()
	text := "whsec_" + base64.StdEncoding.EncodeToString(secretKey)
	stamp := strconv.FormatInt(at.Unix(), 10)
	for _, tc := range []struct {
		dialect, eventType string
		want               func(body string) map[string]string
	}{
		{"standard", "order.confirmed", func(body string) map[string]string {
			return map[string]string{
				"Content-Type": "application/json", "User-Agent": "Waybill/1.0", "webhook-id": "evt_1", "webhook-timestamp": stamp,
				"webhook-signature": "v1," + base64.StdEncoding.EncodeToString(mac(secretKey, "evt_1.", stamp, ".", body)),
			}
		}},
		{"rheo", "item.sold", func(body string) map[string]string {
			return map[string]string{
				"Content-Type": "application/json", "User-Agent": "Waybill/1.0",
				"X-Rheo-Signature": "sha256=" + hex.EncodeToString(mac([]byte(text), body)),
			}
		}},
		{"tradly", "user.created", func(body string) map[string]string {
			return map[string]string{
				"Content-Type": "application/json", "User-Agent": "Waybill/1.0", "webhook-id": "evt_1", "webhook-timestamp": stamp,
				"X-Tradly-Signature": hex.EncodeToString(mac([]byte(text), "evt_1")),
				"webhook-signature":  "v1," + base64.StdEncoding.EncodeToString(mac(secretKey, "evt_1.", stamp, ".", body)),
			}
		}},
		{"tradevine", "product.created", func(body string) map[string]string {
			return map[string]string{
				"Content-Type": "application/json", "User-Agent": "Waybill/1.0",
				"X-Tradevine-Hmac-SHA256": hex.EncodeToString(mac([]byte(text), asASCII(body))),
			}
		}},
		{"auction-excellence", "submission.created", func(body string) map[string]string {
			return map[string]string{
				"Content-Type": "application/json", "User-Agent": "AuctionExcellence-Webhook/1.0",
				"X-Webhook-ID": "0197abcd-ef01-7002-8000-000000000007", "X-Webhook-Timestamp": stamp,
				"X-Webhook-Event":     "submission.created",
				"X-Webhook-Signature": "sha256=" + hex.EncodeToString(mac([]byte(text), body)),
			}
		}},
	} {
		t.Run(tc.dialect, func(t *testing.T) {
			t.Parallel()
			got, body := attempt(t, dialect(t, tc.dialect), tc.eventType, at, map[string]string{"X-Api-Key": "k"})
			want := http.Header{"X-Api-Key": {"k"}}
			for name, value := range tc.want(body) {
				want.Set(name, value)
			}
			require.Equal(t, want, got)
		})
	}
}

// asASCII is what the published Tradevine receiver hashes: .NET's Encoding.ASCII turns every other character into "?".
func asASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0x7f {
			return '?'
		}
		return r
	}, s)
}

func TestDialect_RequestHeaders_RetryRenewsTheTimestamp(t *testing.T) {
	t.Parallel()
	d := dialect(t, "auction-excellence")
	first, body := attempt(t, d, "member.joined", at, nil)
	second, again := attempt(t, d, "member.joined", at.Add(time.Minute), nil)
	require.Equal(t, body, again)
	require.Equal(t, strconv.FormatInt(at.Unix()+60, 10), second.Get("X-Webhook-Timestamp"))
	second.Set("X-Webhook-Timestamp", first.Get("X-Webhook-Timestamp"))
	require.Equal(t, first, second, "all else stays")
}

// TestDialect_RequestHeaders_StandardWebhooks verifies with the standard's own library.
func TestDialect_RequestHeaders_StandardWebhooks(t *testing.T) {
	t.Parallel()
	verifier, err := standardwebhooks.NewWebhook(webhook.NewSecret(secretKey).Reveal())
	require.NoError(t, err)
	for _, name := range []string{"standard", "tradly"} {
		headers, body := attempt(t, dialect(t, name), "user.created", at, nil)
		require.NoError(t, verifier.VerifyIgnoringTimestamp([]byte(body), headers))
		require.Error(t, verifier.VerifyIgnoringTimestamp([]byte(body+" "), headers))
	}
}

// TestDialect_RequestHeaders_Precedence shows that a custom header comes before, so that the dialect's wins.
func TestDialect_RequestHeaders_Precedence(t *testing.T) {
	t.Parallel()
	list, err := dialect(t, "rheo").RequestHeaders(webhook.Request{
		Body: []byte(`{}`), Keys: webhook.SigningKeys{Current: webhook.NewSecret(secretKey)},
		Custom: map[string]string{"X-Rheo-Signature": "forged", "User-Agent": "forged"},
	})
	require.NoError(t, err)
	last := map[string]string{}
	for _, h := range list {
		last[h.Name] = h.Value
	}
	require.Equal(t, "Waybill/1.0", last["User-Agent"])
	require.NotEqual(t, "forged", last["X-Rheo-Signature"])
}

func TestDialect_RequestHeaders_UnreadableSecret(t *testing.T) {
	t.Parallel()
	r := webhook.Request{Keys: webhook.SigningKeys{Current: webhook.SecretFromText("whsec_hush-hush")}}
	_, err := dialect(t, "standard").RequestHeaders(r)
	require.ErrorContains(t, err, "the signing secret is not base64")
	require.NotContains(t, err.Error(), "hush")
	_, err = dialect(t, "rheo").RequestHeaders(r)
	require.NoError(t, err, "a secret that is read as text can be any text")
}

func TestSecret_NeverPrints(t *testing.T) {
	t.Parallel()
	s := webhook.NewSecret(secretKey)
	require.Equal(t, "whsec_"+base64.StdEncoding.EncodeToString(secretKey), s.Reveal())
	require.Equal(t, s, webhook.SecretFromText(s.Reveal()))

	holder := struct{ Secret webhook.Secret }{s}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s"} {
		for _, v := range []any{s, &s, holder, &holder, []webhook.Secret{s}, map[string]any{"a": s}, fmt.Errorf("cause %v", s)} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	fmt.Fprintln(&out, s, &s, holder)
	text, err := json.Marshal(map[webhook.Secret]any{s: []any{s, &s, webhook.Request{Keys: webhook.SigningKeys{Current: s}}, holder}})
	require.NoError(t, err)
	out.Write(text)
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("secret", "value", s, "pointer", &s, "holder", holder, slog.Any("any", []any{s}), slog.Group("g", "in", s))
	}
	require.Contains(t, out.String(), "[secret]")
	for _, leak := range []string{s.Reveal(), s.Reveal()[6:], hex.EncodeToString([]byte(s.Reveal())[6:]), strings.ToUpper(hex.EncodeToString([]byte(s.Reveal())[6:]))} {
		require.NotContains(t, out.String(), leak)
	}
}
