package cli

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/client"
	"waybill/webhook"
)

// Whatever the developer's server does, listen says it and goes on.
func TestForwarder_OddAnswers(t *testing.T) {
	t.Parallel()
	all, err := ownDialects()
	require.NoError(t, err)
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}
	}
	hangs := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if text != "" {
				_, _ = io.WriteString(w, text)
				_ = http.NewResponseController(w).Flush()
			}
			_, _ = io.Copy(io.Discard, r.Body) // the server sees that the client is gone once it has read all
			<-r.Context().Done()
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
		ok     bool
	}{
		"ends mid-body":       {raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "-> 200, but the connection ended before the answer did", false},
		"ends mid-chunk":      {raw("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc"), "-> 500, but the connection ended before the answer did", false},
		"bad chunk":           {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"), "-> 200, but the answer cannot be read: ", false},
		"ends at once":        {raw(""), "-> the connection ended without an answer", false},
		"is no HTTP":          {raw("SSH-2.0-OpenSSH_9\r\n"), "malformed HTTP", false},
		"never answers":       {hangs(""), "-> no answer within 2s", false},
		"never ends":          {hangs("abc"), "-> 200, but the answer did not end within 2s", false},
		"redirects":           {http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect).ServeHTTP, "a redirect is not followed", false},
		"accepts":             {func(http.ResponseWriter, *http.Request) {}, "-> 200 in ", true},
		"refuses with colors": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no\x1b[31m\nnext", 400) }, ": no[31m next", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(c.answer)
			t.Cleanup(s.Close)
			d := *all["standard"]
			d.Timeout = webhook.Duration(20 * time.Second)
			if strings.HasSuffix(c.says, " within 2s") {
				d.Timeout = webhook.Duration(2 * time.Second)
			}
			f := &forwarder{url: s.URL, dialect: &d, secret: webhook.NewSecret(make([]byte, 32))}
			f.begin()
			a := f.send(t.Context(), &client.Event{ID: "evt_1", Type: "a.b", Data: json.RawMessage("1")}, newDeliveryID())
			require.Contains(t, a.text, c.says)
			require.Equal(t, c.ok, a.ok)
			require.False(t, a.refused)
			require.NotContains(t, a.text, "\x1b")
		})
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	f := &forwarder{url: "http://" + closed.Addr().String(), dialect: all["standard"], secret: webhook.NewSecret(make([]byte, 32))}
	f.begin()
	require.True(t, f.send(t.Context(), &client.Event{ID: "evt_1", Type: "a.b", Data: json.RawMessage("1")}, newDeliveryID()).refused)
}
