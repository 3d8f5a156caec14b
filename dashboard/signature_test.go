package dashboard

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	signaturePath = pageOfLog + "/attempts/" + attemptOfLog + "/signature"
	verifyPath    = "POST /v1/tenants/acme/endpoints/" + endpointOfLog + "/verify-signature"
	verified      = `{"valid":true,"tolerance":{"ok":true,"difference_s":0},"signatures":[{"header":"X-Signature","profile":"standard","algorithm":"hmac-sha256","encoding":"hex","valid":true,
		"reason":"it is the signature of this body","key":"current","key_fingerprint":"6d5ff5a6","steps":[{"name":"signed text","value":"{}"},{"name":"expected","value":"sha256=abc"}]}]}`
)

// checked is what the API was asked to verify.
type checked struct {
	Headers    map[string]string
	Body       *string
	BodyBase64 []byte `json:"body_base64"`
	At         string
}

func signatureAPI(t *testing.T, sent, answer string, asked *checked) fakeAPI {
	t.Helper()
	api := storyAPI(t, readsAll, deliveryJSON(deliveryOfLog, "exhausted", 2), sent, "")
	api[verifyPath] = func(w http.ResponseWriter, r *http.Request) {
		*asked = checked{}
		_ = json.NewDecoder(r.Body).Decode(asked) // a wrong one asks for nothing
		status := http.StatusOK
		if strings.Contains(answer, `"status":422`) {
			status = http.StatusUnprocessableEntity
		}
		says(status, answer)(w, r)
	}
	return api
}

// The page begins with what was sent, verified with the clock of that moment, and shows the steps.
func TestSignature_AsSent(t *testing.T) {
	t.Parallel()
	var asked checked
	d := newTest(t, Options{API: signatureAPI(t, "{\n}", verified, &asked)})
	page := d.page(t, signaturePath)
	for _, shown := range []string{"It verifies.", "it is the signature of this body", "current secret", "6d5ff5a6", "<span>signed text</span>", "sha256=abc", "X-Signature: sha256=abc\n", "{\n}</textarea>", `value="2026-05-27T11:59:01Z"`} {
		require.Contains(t, page, shown)
	}
	require.Equal(t, "{\n}", *asked.Body)
	require.Equal(t, "2026-05-27T11:59:01Z", asked.At)
	require.NotContains(t, asked.Headers, "Authorization", "its value is not known")
	require.Contains(t, d.page(t, pageOfLog), signaturePath)
}

// What was pasted is verified as it was pasted, and the reason stands beside it.
func TestSignature_Pasted(t *testing.T) {
	t.Parallel()
	var asked checked
	reason := `{"valid":false,"tolerance":{"ok":false,"difference_s":750},"signatures":[{"header":"X-Signature","valid":false,"reason":"the body <b>was</b> parsed and written again","steps":[]}]}`
	d := newTest(t, Options{API: signatureAPI(t, `{}`, reason, &asked)})
	w := d.signed(postForm(signaturePath, url.Values{
		"headers": {"POST /hooks HTTP/1.1\r\n< X-Signature: sha256=abc\r\nX-List: a\r\nX-List: b\r\n\r\n"}, "body": {"\r\n{ }\r\n"}, "at": {"2026-05-27T12:11:31Z"},
	}))
	require.Equal(t, http.StatusOK, w.Code)
	page := w.Body.String()
	require.Contains(t, page, "It does not verify.")
	require.Contains(t, page, "The timestamp is 12 min 30 s old, and receivers refuse more than 5 minutes.")
	require.Contains(t, page, "the body &lt;b&gt;was&lt;/b&gt; parsed and written again")
	require.Equal(t, map[string]string{"X-Signature": "sha256=abc", "X-List": "a, b"}, asked.Headers)
	require.Equal(t, "\n{ }\n", *asked.Body, "browsers change the ends of lines")
	require.Contains(t, page, ">\n\n{ }\n</textarea>", "browsers drop the first end of a line")
	require.Equal(t, "2026-05-27T12:11:31Z", asked.At)

	d.signed(postForm(signaturePath, url.Values{"headers": {`{"X-Signature": "sha256=abc"}`}, "body": {"e3 0="}, "encoding": {"base64"}}))
	require.Equal(t, map[string]string{"X-Signature": "sha256=abc"}, asked.Headers)
	require.Equal(t, "{}", string(asked.BodyBase64))
	require.Nil(t, asked.Body)
}

// A body that a box would change or that makes the page large is taken from the log.
func TestSignature_SentBody(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{"large": `"` + strings.Repeat("x", 256<<10) + `"`, "ends of lines": "{\r\n}"} {
		var asked checked
		d := newTest(t, Options{API: signatureAPI(t, sent, verified, &asked)})
		page := d.page(t, signaturePath)
		require.Less(t, len(page), 30<<10, name)
		require.Contains(t, page, `name="sent_body" value="true" checked`, name)
		require.Equal(t, sent, string(asked.BodyBase64), name)
	}
}

// What the API refuses stands by its field, with what was typed.
func TestSignature_Refused(t *testing.T) {
	t.Parallel()
	var asked checked
	d := newTest(t, Options{API: signatureAPI(t, `{}`, `{"status":422,"title":"Invalid","detail":"no","code":"invalid","errors":[{"field":"headers.a b","detail":"is not a header name"}]}`, &asked)})
	w := d.signed(postForm(signaturePath, url.Values{"headers": {"a b: c"}, "body": {"mine"}}))
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), `<small class="wrong">a b is not a header name</small>`)
	require.Contains(t, w.Body.String(), "a b: c</textarea>")
	require.Contains(t, w.Body.String(), "mine</textarea>")
	require.NotContains(t, w.Body.String(), "It does not verify")

	w = d.signed(postForm(signaturePath, url.Values{"body": {strings.Repeat("x", maxFormBytes)}}))
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
}
