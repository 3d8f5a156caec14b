package activities_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// answering returns what makes an attempt that is answered so, and what is recorded of it.
func answering(t *testing.T, change func(*webhook.Endpoint)) func(answer string) *webhook.Attempt {
	t.Helper()
	var body atomic.Value
	b := setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body.Load().(string)) })
	change(b.store.sending.Endpoint)
	in := isolated() // which does not mind an answer that a busy machine delays
	return func(answer string) *webhook.Attempt {
		t.Helper()
		body.Store(answer)
		_, err := b.attempt(t, in)
		require.NoError(t, err)
		in.Number++
		return b.lastAttempt(t)
	}
}

// A secret that the limit of the recorded body cuts is taken out too, wherever in it the cut is, and what is no secret stays.
func TestActivities_Attempt_showsNoSecretThatIsCut(t *testing.T) {
	t.Parallel()
	const key, mask = `k-"0123456789abcdef"`, "[redacted]"
	inJSON, _ := json.Marshal(key)
	ask := answering(t, func(e *webhook.Endpoint) { e.Headers = map[string]string{"X-Api-Key": key} })
	spelled := map[string]string{"plain": key, "JSON": string(inJSON[1 : len(inJSON)-1])}
	for as, text := range spelled {
		for shown := range len(text) + 2 { // how much of it is within the limit
			answer := strings.Repeat("x", activities.MaxResponseBody-shown) + text + " and more"
			want, kept := answer[:activities.MaxResponseBody-shown], mask
			switch {
			case shown > len(text):
				kept += answer[activities.MaxResponseBody-1 : activities.MaxResponseBody]
			case shown < activities.LeastCut:
				kept = text[:shown]
			}
			want = (want + kept)[:min(activities.MaxResponseBody, len(want+kept))]
			out := ask(answer)
			require.Equal(t, want, string(out.ResponseBody), "%s, %d bytes of it", as, shown)
			require.True(t, out.ResponseTruncated)
		}
	}
	whole := ask("the key begins with " + key[:8])
	require.Equal(t, "the key begins with "+key[:8], string(whole.ResponseBody), "nothing was cut")
}

// An answer that breaks off is one that was cut.
func TestActivities_Attempt_showsNoSecretThatBreaksOff(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 500} {
		b := setup(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "you sent "+headerText[:12])
		})
		_, err := b.attempt(t, input())
		require.NoError(t, err)
		made := b.lastAttempt(t)
		require.Equal(t, "you sent [redacted]", string(made.ResponseBody), "status %d", status)
		require.True(t, made.ResponseTruncated)
	}
}

// What takes a secret's place may be longer than the secret; the limit of the recorded body holds.
func TestActivities_Attempt_boundsWhatItRedacts(t *testing.T) {
	t.Parallel()
	made := answering(t, func(e *webhook.Endpoint) {
		e.Auth = &webhook.Auth{Type: webhook.AuthBearer, Token: webhook.SecretFromText("12345678")}
	})(strings.Repeat("12345678", activities.MaxResponseBody/8))
	require.Len(t, made.ResponseBody, activities.MaxResponseBody)
	require.True(t, made.ResponseTruncated)
	require.NotContains(t, string(made.ResponseBody), "1234")
}
