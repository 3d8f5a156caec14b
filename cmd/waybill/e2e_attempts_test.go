package main_test

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The log shows what was sent and what came back, without secrets and up to a limit.
func TestAttempts_Shown(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "tradly", fields{"retry": fields{"schedule": []string{"1s"}}})
	secrets := []string{"open-sesame-" + unique("h"), "cookie-" + unique("c")}
	tn.server.group.secrets.add(secrets...)
	long := strings.Repeat("0123456789abcdef", 20<<10/16)
	r := newReceiver(t, reply{
		status: 500, body: long, after: 30 * time.Millisecond,
		header: map[string]string{"Set-Cookie": secrets[1], "X-Trace": "trace-1", "Content-Type": "text/plain"},
	}, reply{status: 202, body: "\xff\xfe"})
	tn.endpoint(t, r, fields{"headers": map[string]string{"X-Shop-Key": secrets[0]}})
	d := tn.publish(t, `{"type":"order.confirmed","data":{}}`, 1).Deliveries[0].ID
	tn.waitDelivery(t, d, "delivered", 2)
	require.NoError(t, header(r.got()[0].header, "X-Shop-Key", secrets[0]))

	made := tn.attempts(t, d)
	require.Len(t, made, 2)
	first, second := made[0], made[1]
	require.Equal(t, 1, first.Number)
	require.Equal(t, d, first.DeliveryID)
	require.Equal(t, 500, first.StatusCode)
	require.Equal(t, "retryable", first.Outcome)
	require.Equal(t, "http_status", first.ErrorClass)
	require.Contains(t, first.Error, "500")
	require.GreaterOrEqual(t, first.DurationMS, int64(30))
	require.WithinDuration(t, r.got()[0].at, first.StartedAt, 10*time.Second)
	require.Equal(t, "trace-1", first.ResponseHeaders["X-Trace"])
	require.Equal(t, "[redacted]", first.ResponseHeaders["Set-Cookie"])
	require.Equal(t, "[redacted]", first.RequestHeaders["X-Shop-Key"])
	require.Equal(t, r.got()[0].header.Get("X-Tradly-Signature"), first.RequestHeaders["X-Tradly-Signature"])
	require.Equal(t, r.got()[0].header.Get("webhook-signature"), first.RequestHeaders["webhook-signature"])
	require.Equal(t, "application/json", first.RequestHeaders["Content-Type"])
	require.Equal(t, long[:16<<10], first.ResponseBody)
	require.True(t, first.ResponseTruncated)

	require.Equal(t, 2, second.Number)
	require.Equal(t, 202, second.StatusCode)
	require.Equal(t, "delivered", second.Outcome)
	require.Empty(t, second.ErrorClass)
	require.Empty(t, second.Error)
	require.Equal(t, "//4=", second.ResponseBody)
	require.Equal(t, "base64", second.ResponseEncoding)
	require.False(t, second.ResponseTruncated)

	one := tn.call(t, "GET", tn.path+"/deliveries/"+d+"/attempts/"+first.ID, nil)
	var shown attempt
	one.is(t, 200, &shown)
	require.Equal(t, first, shown)
	for _, secret := range secrets {
		require.NotContains(t, string(one.body), secret)
	}
}

// Each way to fail has its class, and a delivery without retries is exhausted by it.
func TestAttempts_ErrorClasses(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"retry": fields{"schedule": []string{}}})
	gone := httptest.NewServer(nil)
	gone.Close()
	stranger := httptest.NewUnstartedServer(nil)
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS() // with a certificate that nobody vouches for
	t.Cleanup(stranger.Close)
	plain := httptest.NewServer(nil)
	t.Cleanup(plain.Close)
	elsewhere := newReceiver(t)

	for class, url := range map[string]string{
		"http_status": newReceiver(t, reply{status: 404, body: "no such hook"}).url,
		"redirect":    newReceiver(t, reply{status: 307, header: map[string]string{"Location": elsewhere.url}}).url,
		"timeout":     newReceiver(t, reply{after: 10 * time.Second}).url,
		"connect":     strings.Replace(gone.URL, "http:", "https:", 1),
		"tls":         stranger.URL,
		"dns":         "https://no-such-host.invalid/",
	} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			e := tn.endpoint(t, &receiver{url: url}, fields{"event_types": []string{class}, "timeout": "1s"})
			d := tn.publish(t, fields{"type": class, "data": 1}, 1).to(t, e)
			tn.waitDelivery(t, d, "exhausted", 1)
			made := tn.attempts(t, d)[0]
			require.Equal(t, class, made.ErrorClass, "%+v", made)
			require.NotEmpty(t, made.Error)
			require.NotContains(t, made.Error, "127.0.0.1", "what names mean inside is nobody's business")
			require.Empty(t, elsewhere.got(), "redirects are not followed")
		})
	}
}
