package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A request that verifies, of the dialect standard.
const (
	verifySecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	verifyBody   = `{"type":"order.confirmed","timestamp":"2026-05-27T14:32:00Z","data":{}}`
	verifyHead   = "webhook-id: evt_1\r\nwebhook-timestamp: 1779892320\r\nwebhook-signature: v1,y+36IrcTn28LwwRSSsZTqUqJv17yWazpao9+AW/4vW8=\r\n"
)

func written(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// What proxies and tools add to a request is no reason to refuse it.
func TestVerify_OddCaptures(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	verify := func(args ...string) result {
		return p.run(t, "", append([]string{"verify", "--secret", verifySecret, "--at", "1779892321"}, args...)...)
	}
	many := ""
	for i := range 150 {
		many += fmt.Sprintf("X-Trace-%d: x\r\n", i)
	}
	for name, head := range map[string]string{
		"as it is":                verifyHead,
		"two of a proxy's":        "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n" + verifyHead,
		"a long cookie":           "Cookie: " + strings.Repeat("c", 20_000) + "\r\n" + verifyHead,
		"a tab and Latin-1":       "X-Name: a\tb\xe9\r\n" + verifyHead,
		"many":                    many + verifyHead,
		"names in capitals":       strings.NewReplacer("webhook-", "WEBHOOK-").Replace(verifyHead),
		"lines without a return":  strings.ReplaceAll(verifyHead, "\r\n", "\n"),
		"space around the values": strings.NewReplacer(": ", ":   ", "\r\n", "  \r\n").Replace(verifyHead),
		"two signatures":          strings.Replace(verifyHead, "v1,", "v1,AAAA v1,", 1),
	} {
		for _, first := range []string{"", "POST /hooks HTTP/1.1\r\n"} {
			r := verify("--capture", written(t, first+head+"\r\n"+verifyBody))
			require.Zero(t, r.code, "%s: %s%s", name, r.out, r.messages)
			r = verify("--headers", written(t, first+head), "--body", written(t, verifyBody), "-o", "json")
			require.Zero(t, r.code, "%s: %s%s", name, r.out, r.messages)
			require.True(t, json.Valid([]byte(r.out)))
		}
	}
	for name, c := range map[string]struct{ head, body, says string }{
		"a break at the end":  {verifyHead, verifyBody + "\r\n", "white space"},
		"breaks of Windows":   {verifyHead, strings.ReplaceAll(verifyBody, ",", ",\r\n"), "commonest mistake"},
		"the header twice":    {verifyHead + "Webhook-Signature: v1,AAAA\r\n", verifyBody, "more than once"},
		"no timestamp":        {strings.Replace(verifyHead, "webhook-timestamp: 1779892320\r\n", "", 1), verifyBody, "webhook-timestamp"},
		"milliseconds":        {strings.Replace(verifyHead, "1779892320", "1779892320000", 1), verifyBody, "milliseconds"},
		"no padding":          {strings.Replace(verifyHead, "vW8=", "vW8", 1), verifyBody, "does not verify"},
		"the header is wrong": {strings.Replace(verifyHead, "v1,y", "v1,z", 1), verifyBody, "Compare the secret's fingerprint"},
	} {
		r := verify("--capture", written(t, c.head+"\r\n"+c.body))
		require.Equal(t, 1, r.code, "%s: %s%s", name, r.out, r.messages)
		require.Contains(t, r.out, c.says, name)
	}
	r := p.run(t, "", "verify", "--secret", "whsec_", "--capture", written(t, verifyHead+"\r\n"+verifyBody))
	require.Equal(t, 1, r.code)
	require.Contains(t, r.out, "it is empty after whsec_")
}

// An attempt is found by its number or its id, and what is shown is what verify takes.
func TestDeliveriesAttempt(t *testing.T) {
	t.Parallel()
	whole := `{"id":"att_2","delivery_id":"dlv_1","number":2,"started_at":"2026-05-27T14:32:01Z","duration_ms":1,"outcome":"delivered","url":"https://x.example",
		"request_headers":{"webhook-id":"evt_1","webhook-timestamp":"1779892320","webhook-signature":"v1,y+36IrcTn28LwwRSSsZTqUqJv17yWazpao9+AW/4vW8="},
		"request_body":` + string(must(json.Marshal(verifyBody))) + `,"response_headers":{},"response_body":""}`
	p := steps{
		"GET /v1/tenants/a/deliveries/dlv_1/attempts": {
			`{"data":[{"id":"att_1","number":1,"request_headers":{"webhook-id":"evt_1"}}],"next_cursor":"2"}`, `{"data":[{"id":"att_2","number":2}]}`,
			`{"data":[{"id":"att_1","number":1,"request_headers":{"webhook-id":"evt_1"}}]}`,
		},
		"GET /v1/tenants/a/deliveries/dlv_1/attempts/att_2": {whole},
	}.person(t)
	r := p.run(t, "", "deliveries", "attempt", "dlv_1", "2", "--tenant", "a", "-o", "json")
	require.Zero(t, r.code, r.messages)
	verified := p.run(t, r.out, "verify", "--secret", verifySecret, "--capture", "-")
	require.Zero(t, verified.code, verified.out+verified.messages)
	r = p.run(t, "", "deliveries", "attempt", "dlv_1", "att_2", "--tenant", "a")
	require.Zero(t, r.code, r.messages)
	require.Regexp(t, `NUMBER +2\n`, r.out)
	r = p.run(t, "", "deliveries", "attempt", "dlv_1", "7", "--tenant", "a")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.messages, "the delivery has no attempt 7")
	r = p.run(t, `{"id":"att_1","request_headers":{"webhook-id":"evt_1"}}`, "verify", "--secret", verifySecret, "--capture", "-")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.messages, "'waybill deliveries attempt' shows whole")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
