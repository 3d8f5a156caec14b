package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// captureOf writes an arrival as the text of an HTTP request.
func captureOf(t *testing.T, a arrival, body []byte) string {
	t.Helper()
	var text bytes.Buffer
	text.WriteString("POST /hook HTTP/1.1\r\nHost: receiver.example\r\n")
	for name, values := range a.header {
		if name != "Content-Length" {
			fmt.Fprintf(&text, "%s: %s\r\n", name, values[0])
		}
	}
	fmt.Fprintf(&text, "Content-Length: %d\r\n\r\n%s\n", len(body), body)
	path := filepath.Join(t.TempDir(), "request.http")
	require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
	return path
}

// A real delivery of each dialect verifies, as a capture, in parts, and as the API shows its attempt; rewritten JSON is called by its name.
func TestVerify(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for dialect, eventType := range map[string]string{
		"standard": "order.confirmed", "rheo": "item.sold", "tradly": "user.created", "tradevine": "product.created", "auction-excellence": "submission.created",
	} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			tn, r := newTenant(t, s, dialect, nil), newReceiver(t)
			secret := remoteSecret(tn, tn.endpoint(t, r, fields{"event_types": []string{eventType}}))
			if dialect == "standard" {
				tn.publish(t, fields{"type": eventType, "data": fields{"name": "é"}}, 1)
			} else {
				_, said, code := s.finish(t, "trigger", eventType, "--tenant", tn.id)
				require.Zero(t, code, said)
			}
			a := r.waitAnswered(t, 1)[0]
			file := filepath.Join(t.TempDir(), "secret")
			require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))

			out, said, code := s.finish(t, "verify", "--secret-file", file, "--capture", captureOf(t, a, a.body))
			require.Zero(t, code, out+said)
			require.Contains(t, out, "The request verifies (dialect "+dialect+").")

			id := tn.deliveries(t, "")[0].ID
			tn.waitDelivery(t, id, "delivered", 1)
			shown, said, code := s.finish(t, "deliveries", "attempt", id, "1", "--tenant", tn.id, "-o", "json")
			require.Zero(t, code, said)
			attempt := filepath.Join(t.TempDir(), "attempt.json")
			require.NoError(t, os.WriteFile(attempt, []byte(shown), 0o600))
			out, said, code = s.finish(t, "verify", "--secret-file", file, "--capture", attempt)
			require.Zero(t, code, out+said)

			var indented bytes.Buffer
			require.NoError(t, json.Indent(&indented, a.body, "", "  "))
			out, said, code = s.finish(t, "verify", "--secret-file", file, "--capture", captureOf(t, a, indented.Bytes()), "-o", "json")
			require.Equal(t, 1, code)
			require.Contains(t, said, "the request does not verify")
			var verdict struct {
				Valid      bool     `json:"valid"`
				Dialect    string   `json:"dialect"`
				Advice     []string `json:"advice"`
				Signatures []struct{ Reason string }
			}
			require.NoError(t, json.Unmarshal([]byte(out), &verdict))
			require.False(t, verdict.Valid)
			require.Equal(t, dialect, verdict.Dialect)
			require.Contains(t, fmt.Sprint(verdict.Signatures), "it was parsed and written again")
			require.Contains(t, verdict.Advice[0], "This is the commonest mistake.")

			out, _, code = s.finish(t, "verify", "--secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "--capture", captureOf(t, a, a.body))
			require.Equal(t, 1, code)
			require.Contains(t, out, "Compare the secret's fingerprint, ")
			require.NotContains(t, out, secret)
		})
	}
}

func TestVerify_HeadersAndTimes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	body := filepath.Join(t.TempDir(), "body.json")
	require.NoError(t, os.WriteFile(body, []byte(`{"type":"order.confirmed","timestamp":"2026-05-27T14:32:00Z","data":{}}`), 0o600))
	args := []string{
		"verify", "--secret", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "--body", body, "-H", "webhook-id: evt_1", "-H", "webhook-timestamp: 1779892320",
		"-H", "webhook-signature: v1,y+36IrcTn28LwwRSSsZTqUqJv17yWazpao9+AW/4vW8=",
	}
	out, said, code := s.finish(t, append(args, "--at", "2026-05-27T14:32:01Z")...)
	require.Zero(t, code, out+said)
	out, _, code = s.finish(t, append(args, "--at", "1779899999")...)
	require.Equal(t, 1, code)
	require.Contains(t, out, "the signature is right, but the timestamp is 2 hours old")
	require.Contains(t, out, "check the clock of the receiver")
	out, _, code = s.finish(t, append(args, "--dialect", "rheo")...)
	require.Equal(t, 1, code)
	require.Contains(t, out, "try --dialect standard")

	for _, wrong := range [][]string{
		{"verify"}, {"verify", "--secret", "x"}, {"verify", "--body", body, "--secret", ""}, append(args, "--capture", body), append(args, "--at", "noon"),
		append(args, "--dialect", "klingon"), {"verify", "--secret", "x", "--capture", "/nowhere"}, {"verify", "--secret", "x", "--capture", body},
		{"verify", "--secret", "x", "--body", body, "-H", "no colon"},
	} {
		out, said, code := s.finish(t, wrong...)
		require.Equal(t, 2, code, "%v: %s%s", wrong, out, said)
	}
}

// A receiver of Ed25519 signatures has the public key alone.
func TestVerify_PublicKey(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn, r := newTenant(t, s, "standard", nil), newReceiver(t)
	var made struct {
		Key string `json:"public_key"`
	}
	body := fields{"url": r.url + "/hook", "event_types": []string{"*"}, "signing": fields{"algorithm": "ed25519"}}
	tn.call(t, "POST", tn.path+"/endpoints", body).is(t, 201, &made)
	tn.publish(t, fields{"type": "order.confirmed", "data": 1}, 1)
	a := r.waitAnswered(t, 1)[0]
	out, said, code := s.finish(t, "verify", "--secret", made.Key, "--capture", captureOf(t, a, a.body))
	require.Zero(t, code, out+said)
	out, _, code = s.finish(t, "verify", "--secret", made.Key, "--capture", captureOf(t, a, append(a.body, ' ')))
	require.Equal(t, 1, code)
	require.Contains(t, out, "Compare the public key with the endpoint's")
	a.header.Set("webhook-signature", "v1,AAAA")
	out, _, code = s.finish(t, "verify", "--secret", made.Key, "--capture", captureOf(t, a, a.body))
	require.Equal(t, 1, code)
	require.Contains(t, out, "was signed with a secret (v1)")
}
