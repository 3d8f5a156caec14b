package activities_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// Accepted URLs and headers arrive byte for byte over both HTTP/1.1 and HTTP/2. Every byte is tried in every position, so
// that nothing is accepted that one of the protocols changes.
func TestEndpoint_arrivesAsWritten(t *testing.T) {
	t.Parallel()
	type arrival struct {
		target, proto, body string
		header              http.Header
	}
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			got := make(chan arrival, 1)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got <- arrival{r.RequestURI, r.Proto, string(body), r.Header}
			}))
			s.EnableHTTP2 = http2
			s.StartTLS()
			t.Cleanup(s.Close)
			tr := newTransport(t, s)
			d := plainDialect()
			d.Endpoints.MaxHeaders = 20
			limits := webhook.Limits{Dialect: d, CheckAddress: func(host string, port uint16) error {
				return activities.AddressRules{Allow: loopback}.Check("acme", host, port)
			}}
			// try sends to the endpoint, if it is one, and reports whether it is.
			try := func(target string, headers map[string]string) bool {
				e := webhook.Endpoint{URL: s.URL + target, EventTypes: []string{"*"}, Headers: headers}
				if e.Validate(limits) != nil {
					return false
				}
				sent, err := d.RequestHeaders(webhook.Request{
					DeliveryID: deliveryID, Body: []byte("{}"), At: time.Now(), Keys: webhook.SigningKeys{Current: webhook.SecretFromText(secretText)}, Custom: headers,
				})
				require.NoError(t, err)
				out := tr.Send(t.Context(), activities.Request{URL: e.URL, Headers: sent, Body: []byte("{}"), Timeout: 2 * bounded})
				require.Equal(t, http.StatusOK, out.StatusCode, "%q %q: %s", target, headers, out.Error)
				in := <-got
				require.Equal(t, target, strings.TrimPrefix(in.target, map[bool]string{true: "/"}[!strings.HasPrefix(target, "/")]))
				require.Equal(t, proto, in.proto)
				require.Equal(t, "{}", in.body)
				for name, value := range headers {
					require.Equal(t, []string{value}, in.header.Values(name), name)
				}
				return true
			}
			accepted := 0
			for c := range 256 {
				for _, target := range []string{"/a" + string([]byte{byte(c)}) + "b", "/?a=" + string([]byte{byte(c)}) + "b", "/a" + string([]byte{byte(c)})} {
					if try(target, nil) {
						accepted++
					}
				}
				for _, value := range []string{"a" + string([]byte{byte(c)}) + "b", string([]byte{byte(c)}), "a;" + string([]byte{byte(c)}) + "b"} {
					if try("/", map[string]string{"X-Value": value, "Idempotency-Key": value}) {
						accepted++
					}
					if try("/", map[string]string{"Cookie": value}) {
						accepted++
					}
				}
				if try("/", map[string]string{"X" + string([]byte{byte(c)}) + "Y": "v"}) {
					accepted++
				}
			}
			require.Greater(t, accepted, 500, "most of what is printable")
			for _, target := range []string{"", "?a=b", "//", "//a//b", "/a/../b", "/./", "/?", "/??", "/%2F%20%C3%A9", "/%c3%a9?%7b%7d", "/a;b=c,d", "/?a=%5B%5D&b=1+2"} {
				require.True(t, try(target, nil), target)
			}
			require.True(t, try("/", map[string]string{"Authorization": "Bearer  k", "Cookie": "a=1; b=\"2\"", "x-lower": "v", "X-Empty": "", "Date": "never"}))
		})
	}
}
