package dashboard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// attemptJSON is an attempt as the API shows it; sent and got are the bodies.
func attemptJSON(t *testing.T, id string, number int, sent, got string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"id": id, "delivery_id": deliveryOfLog, "number": number, "started_at": "2026-05-27T11:59:01Z", "duration_ms": 1000,
		"status_code": 503, "outcome": "retryable", "error_class": "http_status", "error": "the receiver answered 503", "manual": number == 2,
		"url": "https://shop.example.com/hooks?key=1", "request_headers": map[string]string{"Content-Type": "application/json", "X-Signature": "sha256=abc", "Authorization": "[redacted]"},
		"request_body": sent, "response_headers": map[string]string{"X-Hostile": got[:min(len(got), 500)]}, "response_body": got,
	})
	require.NoError(t, err)
	return string(text)
}

// storyAPI has one delivery with an attempt that sent and got these bodies.
func storyAPI(t *testing.T, session, delivery, sent, got string) fakeAPI {
	t.Helper()
	return logAPI(session, fakeAPI{
		"GET " + pathOfLog + "/" + deliveryOfLog: says(http.StatusOK, delivery),
		"GET " + pathOfLog + "/" + deliveryOfLog + "/attempts": says(http.StatusOK, listJSON("",
			attemptJSON(t, "att_019e690c2800700080000000000000f0", 1, sent, got), strings.Replace(attemptJSON(t, attemptOfLog, 2, sent, got), "11:59:01", "11:59:07", 1))),
		"GET " + pathOfLog + "/" + deliveryOfLog + "/attempts/" + attemptOfLog: says(http.StatusOK, attemptJSON(t, attemptOfLog, 2, sent, got)),
	})
}

const pageOfLog = "/tenants/acme/deliveries/" + deliveryOfLog

// The story is a time line with its gaps and what comes next; the latest attempt is shown whole, formatted and as it came.
func TestDelivery(t *testing.T) {
	t.Parallel()
	retrying := strings.Replace(deliveryJSON(deliveryOfLog, "retrying", 2), `"test":false`, `"test":false,"next_attempt_at":"2026-05-27T12:00:30Z"`, 1)
	d := newTest(t, Options{API: storyAPI(t, managesAll, retrying, `{"a":1}`, `{"error":"later"}`), TemporalURL: "https://temporal.example.com", TemporalNamespace: "waybill"})
	w := d.read(pageOfLog)
	require.Equal(t, http.StatusOK, w.Code)
	page := w.Body.String()
	for _, shown := range []string{
		"1 s after the event was published", "5 s later", ">Attempt 1<", ">manual<", `data-countdown>in 30 seconds<`, `{&#34;a&#34;:1}`, "{\n  &#34;a&#34;: 1\n}", "X-Signature: sha256=abc",
		"https://shop.example.com/hooks?key=1", "/tenants/acme/endpoints/" + endpointOfLog, "/tenants/acme/events/evt_1", `hx-trigger="every 5s"`, "Retry now", ">Cancel<",
	} {
		require.Contains(t, page, shown)
	}
	require.NotContains(t, page, "temporal.example.com", "it is for operators")
}

func TestDelivery_Operator(t *testing.T) {
	t.Parallel()
	d := newTest(t, Options{
		API:         storyAPI(t, adminSession, deliveryJSON(deliveryOfLog, "exhausted", 2), `{}`, ``),
		TemporalURL: "https://temporal.example.com", TemporalNamespace: "waybill",
	})
	page := d.read(pageOfLog).Body.String()
	require.Contains(t, page, `href="https://temporal.example.com/namespaces/waybill/workflows/acme%2Fevt_1"`)
	require.NotContains(t, page, "hx-trigger", "nothing follows by itself")
	require.NotContains(t, page, ">Cancel<")
}

// Nobody sees a button that would be refused.
func TestDelivery_Buttons(t *testing.T) {
	t.Parallel()
	held := strings.Replace(deliveryJSON(deliveryOfLog, "held", 2), `"test":false`, `"test":false,"reason":"the endpoint was disabled","held_until":"2026-05-30T12:00:00Z"`, 1)
	d := newTest(t, Options{API: storyAPI(t, managesAll, held, `{}`, ``)})
	page := d.read(pageOfLog).Body.String()
	require.NotContains(t, page, "/retry", "its endpoint is disabled")
	require.Contains(t, page, "/cancel")
	require.Contains(t, page, "the endpoint was disabled")
	require.Contains(t, page, ">in 3 days<")

	d = newTest(t, Options{API: storyAPI(t, readsAll, deliveryJSON(deliveryOfLog, "retrying", 2), `{}`, ``)})
	page = d.read(pageOfLog).Body.String()
	require.NotContains(t, page, "/retry")
	require.NotContains(t, page, "/cancel")

	test := strings.Replace(deliveryJSON(deliveryOfLog, "exhausted", 1), `"test":false`, `"test":true`, 1)
	d = newTest(t, Options{API: storyAPI(t, managesAll, test, `{}`, ``)})
	page = d.read(pageOfLog).Body.String()
	require.NotContains(t, page, "/retry", "a test is sent once")
	require.Contains(t, page, ">test<")
}

// The questions say what will happen, and what the API refuses is said there.
func TestDelivery_Acts(t *testing.T) {
	t.Parallel()
	var reasons []string
	api := storyAPI(t, managesAll, deliveryJSON(deliveryOfLog, "exhausted", 6), `{}`, ``)
	api["POST "+pathOfLog+"/"+deliveryOfLog+"/retry"] = func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Reason string }
		_ = json.NewDecoder(r.Body).Decode(&in) // a wrong one gives no reason
		reasons = append(reasons, in.Reason)
		says(http.StatusAccepted, deliveryJSON(deliveryOfLog, "retrying", 6))(w, r)
	}
	api["POST "+pathOfLog+"/"+deliveryOfLog+"/cancel"] = says(http.StatusConflict, `{"status":409,"title":"Conflict","detail":"the delivery is exhausted already","code":"conflict"}`)
	d := newTest(t, Options{API: api})
	require.Contains(t, d.read(pageOfLog+"/retry").Body.String(), "attempt 7 is made now, and if it fails the whole retry policy follows")
	w := d.signed(postForm(pageOfLog+"/retry", url.Values{"reason": {"the shop is back"}}))
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, pageOfLog, w.Header().Get("Location"))
	require.Equal(t, []string{"the shop is back"}, reasons)

	w = d.signed(postForm(pageOfLog+"/cancel", url.Values{"reason": {"no use"}}))
	require.Equal(t, http.StatusConflict, w.Code)
	require.Contains(t, w.Body.String(), "The delivery is exhausted already.")
	require.Contains(t, w.Body.String(), `value="no use"`)
}

// What a receiver answers is text, whatever it is, and it stays on the page where it belongs.
func TestDelivery_Hostile(t *testing.T) {
	t.Parallel()
	for name, got := range map[string]string{
		"markup": hostileText, "one word": strings.Repeat("w", 16<<10), "nested": strings.Repeat("[", 8000) + strings.Repeat("]", 8000), "zero": "a\x00b",
	} {
		d := newTest(t, Options{API: storyAPI(t, readsAll, deliveryJSON(deliveryOfLog, "exhausted", 2), `{"x":"</script><img src=x onerror=alert(1)>"}`, got)})
		w := d.read(pageOfLog)
		require.Equal(t, http.StatusOK, w.Code, name)
		page := w.Body.String()
		for _, never := range []string{"<script>alert", "<svg", "<img", "\x1b", "\u202e", "\x00"} {
			require.NotContains(t, page, never, name)
		}
		require.Less(t, len(page), 120<<10, name)
	}
	require.Equal(t, "⟨U+001B⟩[31m⟨U+202E⟩x⟨U+000D⟩\n\té", visible("\x1b[31m\u202ex\r\n\té"))
}

// A large body stands on the page with its beginning only, and is a file as a whole, which no browser shows as a page.
func TestDelivery_LargeBody(t *testing.T) {
	t.Parallel()
	large := `{"x":"` + strings.Repeat("é", 128<<10) + `"}`
	d := newTest(t, Options{API: storyAPI(t, readsAll, deliveryJSON(deliveryOfLog, "exhausted", 2), large, "<script>")})
	page := d.read(pageOfLog).Body.String()
	require.Less(t, len(page), 60<<10)
	require.Contains(t, page, "262,152 bytes. The page shows only its beginning.")
	href := pageOfLog + "/attempts/" + attemptOfLog + "/request-body"
	require.Contains(t, page, href)
	require.Contains(t, page, "--data-binary &#39;@"+attemptOfLog+"-request.txt&#39;")

	w := d.read(href)
	require.Equal(t, large, w.Body.String())
	require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, `attachment; filename="`+attemptOfLog+`-request.txt"`, w.Header().Get("Content-Disposition"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, "<script>", d.read(pageOfLog+"/attempts/"+attemptOfLog+"/response-body").Body.String())
}

func TestDelivery_Binary(t *testing.T) {
	t.Parallel()
	api := storyAPI(t, readsAll, deliveryJSON(deliveryOfLog, "exhausted", 2), `{}`, ``)
	key := "GET " + pathOfLog + "/" + deliveryOfLog + "/attempts/" + attemptOfLog
	api[key] = says(http.StatusOK, strings.Replace(attemptJSON(t, attemptOfLog, 2, `{}`, "//4A"), `"response_body"`, `"response_body_encoding":"base64","response_truncated":true,"response_body"`, 1))
	d := newTest(t, Options{API: api})
	page := d.read(pageOfLog).Body.String()
	require.Contains(t, page, "ff fe 00")
	require.Contains(t, page, "no UTF-8 text")
	require.Contains(t, page, "the log keeps its first 16 KiB")
	require.Equal(t, "\xff\xfe\x00", d.read(pageOfLog+"/attempts/"+attemptOfLog+"/response-body").Body.String())
}

// The command sends what was sent, byte for byte, and nothing besides. A real curl runs it.
func TestCurl(t *testing.T) {
	t.Parallel()
	type request struct {
		path, body string
		header     http.Header
	}
	arrived := make(chan request, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing shows below
		arrived <- request{r.RequestURI, string(body), r.Header}
	}))
	t.Cleanup(receiver.Close)
	for _, sent := range []string{`{"a":"it's $HOME, \"` + "`id`" + `\" \\ !x"}`, "@/etc/passwd", "two\nlines\n", "é ☃ {[1-3]}", "-x"} {
		a := &attempt{URL: receiver.URL + "/a/../b?x={1,2}&y=[1-3]&z='", RequestHeaders: map[string]string{
			"X-Sig": "it's; $(id)", "X-Empty": "", "Content-Type": "application/json", "Content-Length": "99", "Host": "other.example",
		}}
		command := curlOf(a, []byte(sent))
		require.Empty(t, command.File)
		out, err := exec.CommandContext(t.Context(), "sh", "-c", command.Command).CombinedOutput()
		require.NoError(t, err, "%s: %s", command.Command, out)
		got := <-arrived
		require.Equal(t, request{"/a/../b?x={1,2}&y=[1-3]&z='", sent, http.Header{
			"X-Sig": {"it's; $(id)"}, "X-Empty": {""}, "Content-Type": {"application/json"}, "Content-Length": got.header["Content-Length"],
		}}, got, command.Command)
	}
	for _, unfit := range []string{"\x1b[201~", "a\r\nb", "a\tb", "\xff", "\u202e", strings.Repeat("x", maxCommandBytes+1)} {
		require.NotEmpty(t, curlOf(&attempt{URL: "https://a.example"}, []byte(unfit)).File, "%q", unfit)
	}
}
