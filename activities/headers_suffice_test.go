package activities_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// Where the dialect ignores the body, an answer counts once its headers are there; what comes of the body is shown.
func TestActivities_Attempt_headersSuffice(t *testing.T) {
	t.Parallel()
	endless := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}
	for name, c := range map[string]struct {
		receive   http.HandlerFunc
		rule      webhook.ResponseRule
		outcome   webhook.Outcome
		class     webhook.ErrorClass
		truncated bool
	}{
		"an endless 200": {endless(200), webhook.ResponseHeaders, webhook.OutcomeDelivered, "", true},
		"an endless 500": {endless(500), webhook.ResponseHeaders, webhook.OutcomeRetryable, webhook.ErrorHTTPStatus, true},
		"a 200 that breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "begun")
		}, webhook.ResponseHeaders, webhook.OutcomeDelivered, "", true},
		"a 200 that ends":                         {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "begun") }, webhook.ResponseHeaders, webhook.OutcomeDelivered, "", false},
		"an endless 200 where the body counts":    {endless(200), webhook.ResponseComplete, webhook.OutcomeRetryable, webhook.ErrorTimeout, true},
		"an endless 200 where nothing is decided": {endless(200), "", webhook.OutcomeRetryable, webhook.ErrorTimeout, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.receive)
			d := plainDialect()
			d.Response = c.rule
			b.options.Dialects["plain"] = d
			timeout := webhook.Duration(20 * time.Second)
			if c.class == webhook.ErrorTimeout {
				timeout = webhook.Duration(2 * time.Second) // for the handshake, on a busy machine
			}
			b.store.sending.Endpoint.Timeout = &timeout
			out, err := b.attempt(t, input())
			require.NoError(t, err)
			require.Equal(t, c.outcome, out.Attempt.Outcome, out.Attempt.Error)
			require.Equal(t, c.class, out.Attempt.ErrorClass)
			r := b.store.recorded[0].Attempt
			require.Equal(t, "begun", string(r.ResponseBody))
			require.Equal(t, c.truncated, r.ResponseTruncated)
			require.Less(t, out.Attempt.DurationMS, bounded.Milliseconds(), "it keeps its slot for a moment only")
		})
	}
}
