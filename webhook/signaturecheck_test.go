package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// asReceived is a request as Waybill makes it, ready to be checked by its receiver a second later.
func asReceived(t *testing.T, name string, change ...func(*webhook.Request)) *webhook.SignatureCheck {
	t.Helper()
	d := dialect(t, name)
	types := map[string]string{
		"standard": "order.confirmed", "rheo": "item.sold", "tradly": "user.created", "tradevine": "product.created", "auction-excellence": "submission.created",
	}
	e := &webhook.Event{
		ID: "evt_1", Type: types[name], OccurredAt: at, Data: json.RawMessage(`{"name":"é😀","html":"<a href=\"/x\">&</a>","list":[1,2.50]}`),
		Attributes: map[string]string{"auction_id": auctionID},
	}
	body := d.Render(e).For(deliveryID(7))
	r := webhook.Request{
		EventID: e.ID, EventType: e.Type, DeliveryID: deliveryID(7), Body: body, At: at, Keys: webhook.SigningKeys{Current: webhook.NewSecret(secretKey)},
		URL: "https://Receiver.example:443/hooks?a=b",
	}
	for _, f := range change {
		f(&r)
	}
	headers, err := d.RequestHeaders(r)
	require.NoError(t, err)
	return &webhook.SignatureCheck{
		Dialect: d, Also: r.Also, Keys: r.Keys, URL: r.URL, Headers: headers, Body: r.Body, At: at.Add(time.Second),
	}
}

// set changes a header, or adds it; "" takes it away.
func set(c *webhook.SignatureCheck, name, value string) {
	for i := range c.Headers {
		if strings.EqualFold(c.Headers[i].Name, name) {
			c.Headers[i].Value = value
			if value == "" {
				c.Headers = append(c.Headers[:i], c.Headers[i+1:]...)
			}
			return
		}
	}
	c.Headers = append(c.Headers, webhook.Header{Name: name, Value: value})
}

func get(c *webhook.SignatureCheck, name string) string {
	for _, h := range c.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// check verifies, and holds the report to what is true of all: no step and no reason has a key in it.
func check(t *testing.T, c *webhook.SignatureCheck) *webhook.SignatureReport {
	t.Helper()
	require.NoError(t, c.Validate())
	out := webhook.VerifySignature(c)
	text, err := json.Marshal(out)
	require.NoError(t, err)
	for _, s := range []webhook.Secret{c.Keys.Current, c.Keys.Previous} {
		if s.IsZero() {
			continue
		}
		bare := strings.TrimPrefix(strings.TrimPrefix(s.Reveal(), "whsec_"), "whsk_")
		require.NotContains(t, string(text), bare[:16])
		if key, err := base64.StdEncoding.DecodeString(bare); err == nil {
			require.NotContains(t, string(text), hex.EncodeToString(key[:8]))
		}
	}
	return out
}

func step(t *testing.T, f webhook.SignatureFinding, name string) string {
	t.Helper()
	for _, s := range f.Steps {
		if s.Name == name {
			return s.Value
		}
	}
	require.Fail(t, "there is no such step", "%s in %v", name, f.Steps)
	return ""
}

// Every dialect's requests verify, just as the sender makes them, with message signatures and with those of a second dialect too.
func TestVerifySignature_AsSent(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]string{
		"standard": {"webhook-signature"}, "rheo": {"X-Rheo-Signature"}, "tradly": {"X-Tradly-Signature", "webhook-signature"},
		"tradevine": {"X-Tradevine-Hmac-SHA256"}, "auction-excellence": {"X-Webhook-Signature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := check(t, asReceived(t, name))
			require.True(t, got.Valid)
			require.Len(t, got.Signatures, len(headers))
			for i, f := range got.Signatures {
				require.Equal(t, headers[i], f.Header)
				require.Equal(t, name, f.Profile)
				require.True(t, f.Valid)
				require.Equal(t, "the signature is right", f.Reason)
				require.Equal(t, webhook.CurrentSecret, f.Key)
				require.Equal(t, webhook.NewSecret(secretKey).Fingerprint(), f.KeyFingerprint)
				require.Equal(t, "they agree", step(t, f, "compare"))
			}
			messages := check(t, asReceived(t, name, func(r *webhook.Request) { r.MessageSignatures = true }))
			require.True(t, messages.Valid)
			last := messages.Signatures[len(headers)]
			require.Equal(t, "message signature", last.Profile)
			require.True(t, last.Valid, last.Reason)
			require.Contains(t, step(t, last, "signed text"), `"@authority": receiver.example`)
			require.True(t, messages.Tolerance.OK)

			if name == "standard" || name == "tradly" {
				return
			}
			also := check(t, asReceived(t, name, func(r *webhook.Request) { r.Also = dialect(t, "standard") }))
			require.True(t, also.Valid)
			require.Len(t, also.Signatures, 2)
			require.Equal(t, "also_sign_as standard", also.Signatures[1].Profile)
			require.True(t, also.Signatures[1].Valid, also.Signatures[1].Reason)
			require.Equal(t, &webhook.ToleranceFinding{OK: true, DifferenceS: 1}, also.Tolerance)
		})
	}
}

func TestVerifySignature_Ed25519(t *testing.T) {
	t.Parallel()
	pair := webhook.NewEd25519Secret(secretKey[:webhook.Ed25519SeedBytes])
	with := func(r *webhook.Request) { r.Keys, r.MessageSignatures = webhook.SigningKeys{Current: pair}, true }
	c := asReceived(t, "standard", with)
	require.True(t, strings.HasPrefix(get(c, "webhook-signature"), "v1a,"))
	got := check(t, c)
	require.True(t, got.Valid)
	public, err := pair.PublicKey()
	require.NoError(t, err)
	for _, f := range got.Signatures {
		require.True(t, f.Valid, f.Reason)
		require.Equal(t, webhook.Ed25519, f.Algorithm)
		require.Equal(t, public.String(), step(t, f, "public key"), "and no expected signature, with which anybody could sign")
		for _, s := range f.Steps {
			require.NotEqual(t, "expected", s.Name)
		}
	}
	c.Body = append(c.Body, ' ')
	got = check(t, c)
	require.False(t, got.Valid)
	require.Equal(t, "the body is not byte for byte what was sent: white space at its beginning or end differs", got.Signatures[0].Reason)
	require.Contains(t, got.Signatures[1].Reason, "Content-Digest is not that of the body: the body is not byte for byte what was sent")

	c = asReceived(t, "standard", with)
	set(c, "webhook-signature", "v1,"+strings.TrimPrefix(get(asReceived(t, "standard"), "webhook-signature"), "v1,"))
	require.Equal(t, "the signature is HMAC-SHA256, and the endpoint signs with Ed25519, which its public key verifies", check(t, c).Signatures[0].Reason)
	c = asReceived(t, "standard", with)
	c.Keys = webhook.SigningKeys{Current: webhook.NewSecret(secretKey)}
	require.Equal(t, "the signature is Ed25519, and the endpoint's key is a secret for HMAC-SHA256", check(t, c).Signatures[0].Reason)
}

// During a rotation the report tells which secret made each signature, and when the previous one has ended.
func TestVerifySignature_Overlap(t *testing.T) {
	t.Parallel()
	before, after := webhook.NewSecret(secretKey), webhook.NewSecret(bytes.Repeat([]byte{7}, 32))
	until, switches := at.Add(time.Hour), at.Add(30*time.Minute)
	overlap := func(r *webhook.Request) {
		r.Keys, r.MessageSignatures = webhook.SigningKeys{Current: after, Previous: before, PreviousUntil: &until}, true
	}
	got := check(t, asReceived(t, "standard", overlap))
	require.True(t, got.Valid)
	require.Len(t, got.Signatures, 4)
	right := "the signature is right; it is of the previous secret, which is valid until " + until.UTC().Format(time.RFC3339)
	for i, want := range []struct {
		key         webhook.SecretChoice
		fingerprint string
		reason      string
	}{{"current", after.Fingerprint(), "the signature is right"}, {"previous", before.Fingerprint(), right},
		{"current", after.Fingerprint(), "the signature is right"}, {"previous", before.Fingerprint(), right}} {
		f := got.Signatures[i]
		require.True(t, f.Valid)
		require.Equal(t, want.key, f.Key)
		require.Equal(t, want.fingerprint, f.KeyFingerprint)
		require.Equal(t, want.reason, f.Reason)
	}

	late := asReceived(t, "standard", overlap)
	late.At = until
	late.Headers, _ = late.Dialect.RequestHeaders(webhook.Request{EventID: "evt_1", EventType: "a", Body: late.Body, At: until.Add(-time.Second), Keys: late.Keys})
	got = check(t, late)
	require.True(t, got.Valid, "the receiver takes that of the current secret")
	require.False(t, got.Signatures[1].Valid)
	require.Equal(t, "the secret is the previous one, which ended at "+until.UTC().Format(time.RFC3339), got.Signatures[1].Reason)

	single := asReceived(t, "rheo", func(r *webhook.Request) { r.Keys = webhook.SigningKeys{Current: before} })
	single.Keys = webhook.SigningKeys{Current: after, Previous: before, PreviousUntil: &until}
	got = check(t, single)
	require.False(t, got.Valid)
	require.Equal(t, "the secret is the previous one, which does not sign this header any more", got.Signatures[0].Reason)
	require.Equal(t, webhook.PreviousSecret, got.Signatures[0].Key)
	single.Keys.SwitchAt = &switches
	require.True(t, check(t, single).Valid, "before the switch it does")
}

// What is expected is shown whole only to those who may see the secret: with it one could sign any body.
func TestVerifySignature_HidesWhatIsExpected(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"standard", "rheo", "tradly", "tradevine", "auction-excellence"} {
		c := asReceived(t, name, func(r *webhook.Request) { r.MessageSignatures = true })
		var real []string
		for _, f := range check(t, c).Signatures {
			real = append(real, step(t, f, "given"))
		}
		forged := func(reveal bool) string {
			forged := *c
			forged.Headers, forged.ShowExpected = nil, reveal
			for _, h := range c.Headers {
				if strings.Contains(strings.ToLower(h.Name), "signature") && h.Name != "Signature-Input" || strings.Contains(h.Name, "Hmac") {
					h.Value = strings.NewReplacer(real[0], hex.EncodeToString(make([]byte, 32)), real[len(real)-1], std0, real[min(1, len(real)-1)], std0).Replace(h.Value)
				}
				forged.Headers = append(forged.Headers, h)
			}
			text, err := json.Marshal(check(t, &forged))
			require.NoError(t, err)
			return string(text)
		}
		hidden, shown := forged(false), forged(true)
		for _, signature := range real {
			escaped, err := json.Marshal(signature)
			require.NoError(t, err)
			require.NotContains(t, hidden, strings.Trim(string(escaped), `"`)[:12], name)
			require.Contains(t, shown, strings.Trim(string(escaped), `"`), name)
		}
	}
}

// std0 is the base64 of a signature that nobody made.
var std0 = base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))

// A dialect of an operator may put the timestamp into the header itself.
func TestVerifySignature_TimestampInTheHeader(t *testing.T) {
	t.Parallel()
	c := asReceived(t, "rheo")
	d := *c.Dialect
	d.Signatures = []webhook.Signature{{
		Header: "X-Sig", Format: "t={timestamp},v1={signature}", Algorithm: webhook.HMACSHA256, Encoding: webhook.EncodeHex, Input: "{timestamp}.{body}", Key: webhook.KeyText,
	}}
	var err error
	c.Dialect = &d
	c.Headers, err = d.RequestHeaders(webhook.Request{Body: c.Body, At: at, Keys: c.Keys})
	require.NoError(t, err)
	got := check(t, c)
	require.True(t, got.Valid, got.Signatures[0].Reason)
	require.Equal(t, &webhook.ToleranceFinding{OK: true, DifferenceS: 1}, got.Tolerance)
	require.Equal(t, get(c, "X-Sig"), step(t, got.Signatures[0], "expected"))
	c.At = at.Add(72 * time.Hour)
	require.Equal(t, "the signature is right, but the timestamp is 3 days old, and receivers refuse more than 5 minutes", check(t, c).Signatures[0].Reason)
}

func TestVerifySignature_ShortensTheText(t *testing.T) {
	t.Parallel()
	c := asReceived(t, "rheo")
	c.Body = bytes.Repeat([]byte("é"), webhook.MaxCheckedBodyBytes/2)
	set(c, "X-Rheo-Signature", "sha256="+hex.EncodeToString(mac([]byte(c.Keys.Current.Reveal()), string(c.Body))))
	got := check(t, c)
	require.True(t, got.Valid)
	f := got.Signatures[0]
	require.Equal(t, strings.Repeat("é", 1024)+"...", step(t, f, "signed text"))
	require.Equal(t, strconv.Itoa(webhook.MaxCheckedBodyBytes), step(t, f, "bytes of the signed text"))
	sum := sha256.Sum256(c.Body)
	require.Equal(t, hex.EncodeToString(sum[:]), step(t, f, "SHA-256 of the signed text"))
}

func TestSignatureCheck_Validate(t *testing.T) {
	t.Parallel()
	full := &webhook.SignatureCheck{Body: make([]byte, webhook.MaxCheckedBodyBytes)}
	for i := range webhook.MaxCheckedHeaders {
		full.Headers = append(full.Headers, webhook.Header{Name: "h" + strconv.Itoa(i), Value: strings.Repeat("v", 4096)})
	}
	require.NoError(t, full.Validate())
	for field, c := range map[string]*webhook.SignatureCheck{
		"body":      {Body: make([]byte, webhook.MaxCheckedBodyBytes+1)},
		"headers":   {Headers: append(full.Headers, webhook.Header{Name: "one-more"})},
		"headers.a": {Headers: []webhook.Header{{Name: "a", Value: strings.Repeat("v", 4097)}}},
		"headers.b": {Headers: []webhook.Header{{Name: "b", Value: "1\r\n2"}}},
		"headers.ö": {Headers: []webhook.Header{{Name: "ö"}}},
		"headers.C": {Headers: []webhook.Header{{Name: "c"}, {Name: "C"}}},
	} {
		require.Equal(t, []string{field}, fields(t, c.Validate()))
	}
}
