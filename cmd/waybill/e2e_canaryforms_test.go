package main_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// canaries are secrets that a test planted, by what they are.
type canaries map[string]string

// forms are how a secret could be shown: as it is, and as the usual encodings of it, or of the bytes that it encodes, alone or in the
// middle of something longer.
func forms(secret string) []string {
	inJSON, _ := json.Marshal(secret) // a string always encodes
	out := []string{secret, string(inJSON[1 : len(inJSON)-1]), html.EscapeString(secret), url.QueryEscape(secret), url.PathEscape(secret)}
	out = append(out, encodings([]byte(secret))...)
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")); err == nil && len(raw) >= 16 {
		out = append(out, string(raw), strings.TrimPrefix(secret, "whsec_"))
		out = append(out, encodings(raw)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// encodings are bytes as hexadecimal digits, and as Base64 wherever they begin in what is encoded.
func encodings(b []byte) []string {
	out := []string{hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b))}
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), b...))
		encoded = encoded[[]int{0, 2, 3}[before]:] // what the bytes before share in
		if (before+len(b))%3 > 0 {
			encoded = encoded[:len(encoded)-1] // what the bytes after share in
		}
		out = append(out, encoded, strings.NewReplacer("+", "-", "/", "_").Replace(encoded), url.QueryEscape(encoded))
	}
	return out
}

// absent requires that no planted secret is in a text, in any form.
func (c canaries) absent(t *testing.T, place, text string) {
	t.Helper()
	require.NotEmpty(t, text, "%s: there is nothing to search", place)
	for what, secret := range c {
		for _, form := range forms(secret) {
			if strings.Contains(text, form) { // the text is not printed: it has the secret
				t.Errorf("%s shows %s", place, what)
				break
			}
		}
	}
}

// The search finds a secret however it is written.
func TestCanary_forms(t *testing.T) {
	t.Parallel()
	const secret = `canary/pass+word&"4711"`
	inJSON, err := json.Marshal(secret)
	require.NoError(t, err)
	for what, text := range map[string]string{
		"plain": secret, "JSON": string(inJSON), "URL": url.Values{"a": {secret}}.Encode(), "path": "/" + url.PathEscape(secret), "HTML": "<b>" + html.EscapeString(secret) + "</b>",
		"hex": hex.EncodeToString([]byte("a" + secret + "b")), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"Base64": base64.StdEncoding.EncodeToString([]byte(secret)), "basic": basic("waybill", secret), "basic, a longer name": basic("waybills", secret),
		"basic, a short name": basic("w", secret), "in the middle": base64.StdEncoding.EncodeToString([]byte("xx" + secret + "yyyy")),
		"Base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(secret + "?")), "escaped Base64": url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(secret))),
	} {
		require.True(t, slices.ContainsFunc(forms(secret), func(form string) bool { return strings.Contains(text, form) }), what)
	}
	const part = "canary/pass+word"
	require.False(t, slices.ContainsFunc(forms(secret), func(form string) bool { return strings.Contains(part, form) }))
}
