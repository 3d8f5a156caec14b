package activities_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
	"waybill/webhook/certtest"
)

// tokenServer gives out the tokens "token-secret-1", "token-secret-2" and so on, to the client "c/1" with "p@ss word".
type tokenServer struct {
	url string

	mu     sync.Mutex
	forms  []url.Values
	answer http.HandlerFunc // nil: a token
	life   string           // expires_in as JSON; "": left out
	inBody bool             // it takes the client's credentials in the body only
}

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = r.ParseForm()
	s.forms = append(s.forms, r.PostForm)
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	name, password, ok := r.BasicAuth()
	want := []string{url.QueryEscape("c/1"), url.QueryEscape("p@ss word")}
	if s.inBody {
		name, password, want, ok = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret"), []string{"c/1", "p@ss word"}, true
	}
	if !ok || name != want[0] || password != want[1] || r.PostForm.Get("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"hush"}`)
		return
	}
	life := ""
	if s.life != "" {
		life = `,"expires_in":` + s.life
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"token-secret-%d","token_type":"bearer"%s}`, len(s.forms), life)
}

func (s *tokenServer) change(f func(*tokenServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *tokenServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.forms)
}

// movable is a clock that a test moves. Where stopAt is set, nothing else does.
type movable struct {
	ahead  atomic.Int64
	stopAt time.Time
}

func (m *movable) now() time.Time {
	at := m.stopAt
	if at.IsZero() {
		at = time.Now()
	}
	return at.Add(time.Duration(m.ahead.Load()))
}

func (m *movable) pass(d time.Duration)       { m.ahead.Add(int64(d)) }
func (m *movable) into(o *activities.Options) { o.Now = m.now }

// guarded returns a receiver that takes the given tokens only, and what it saw.
func guarded(good func(string) bool) (http.HandlerFunc, chan string) {
	seen := make(chan string, 1000)
	return func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization")
		seen <- got
		if !good(got) {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, "you sent "+got) // as a careless receiver does
	}, seen
}

func setupOAuth(t *testing.T, receive http.HandlerFunc, clock *movable) (*bundle, *tokenServer) {
	t.Helper()
	tokens := &tokenServer{life: "3600"}
	s, _ := serve(t, tokens.ServeHTTP)
	tokens.url = s.URL + "/token"
	b := setup(t, receive, clock.into)
	b.store.sending.Endpoint.Auth = &webhook.Auth{
		Type: webhook.AuthOAuth2, TokenURL: tokens.url, ClientID: "c/1", ClientSecret: webhook.SecretFromText("p@ss word"), Scope: "a b", Audience: "https://api",
	}
	return b, tokens
}

func (b *bundle) lastAttempt(t *testing.T) *webhook.Attempt {
	t.Helper()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	return &b.store.recorded[len(b.store.recorded)-1].Attempt
}

func TestActivities_Attempt_sendsFixedCredentials(t *testing.T) {
	t.Parallel()
	for want, auth := range map[string]*webhook.Auth{
		"Basic dXNlcjpwOnNzd29yZA==":   {Type: webhook.AuthBasic, Username: "user", Password: webhook.SecretFromText("p:ssword")},
		"Bearer fixed-secret-token-77": {Type: webhook.AuthBearer, Token: webhook.SecretFromText("fixed-secret-token-77")},
	} {
		receive, seen := guarded(func(got string) bool { return got == want })
		b := setup(t, receive)
		b.store.sending.Endpoint.Auth = auth
		out, err := b.attempt(t, input())
		require.NoError(t, err)
		require.Equal(t, webhook.StatusDelivered, out.Status)
		require.Equal(t, want, <-seen)
		made := b.lastAttempt(t)
		require.Equal(t, "[redacted]", made.RequestHeaders["Authorization"])
		require.Regexp(t, `^you sent (Basic|Bearer) \[redacted\]$`, string(made.ResponseBody), "nor does an answer that repeats them show them")
	}
}

// What is redacted in the request is redacted in an answer that repeats it, however the receiver writes it, and nothing else is.
func TestActivities_Attempt_showsNoSecretThatAnAnswerRepeats(t *testing.T) {
	t.Parallel()
	const key, token = `sk/live+"0123456789"&more`, "dG9r/ZW4tMDEyMzQ1Njc4OQ=="
	for name, write := range map[string]func(string) string{
		"as it is": func(s string) string { return s },
		"JSON":     func(s string) string { text, _ := json.Marshal(s); return string(text) },
		"JSON as PHP writes it": func(s string) string {
			return `"` + strings.NewReplacer(`"`, `\"`, `/`, `\/`).Replace(s) + `"`
		},
		"a form": url.QueryEscape,
		"HTML":   html.EscapeString,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Echo", r.Header.Get("X-Api-Key"))
				_, _ = io.WriteString(w, write(r.Header.Get("X-Api-Key"))+" "+write(r.Header.Get("Authorization"))+" "+r.Header.Get("Accept")+" short")
			})
			b.store.sending.Endpoint.Headers = map[string]string{
				"X-Api-Key": key, "Authorization": "Token " + token, "Accept": "application/json", "X-Short": "short",
			}
			_, err := b.attempt(t, input())
			require.NoError(t, err)
			made := b.lastAttempt(t)
			require.Regexp(t, `^"?\[redacted\]"? "?Token.\[redacted\]"? application/json short$`, string(made.ResponseBody))
			require.Equal(t, "[redacted]", made.ResponseHeaders["X-Echo"])
		})
	}
}

func TestActivities_Attempt_presentsACertificate(t *testing.T) {
	t.Parallel()
	ca := certtest.NewAuthority(t)
	s, seen, _ := serveCertified(t, ca, 0, tls.RequireAndVerifyClientCert)
	b := setup(t, unreachable(t), func(o *activities.Options) { o.Transport = newTransport(t, s) })
	certificate, key := ca.Issue(t, "the endpoint", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	e := b.store.sending.Endpoint
	e.URL, e.Auth = s.URL+"/hook?token=s3cret-query", &webhook.Auth{Type: webhook.AuthMTLS, Certificate: certificate, Key: webhook.SecretFromText(key)}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
	require.Equal(t, "the endpoint", <-seen)
	require.NotContains(t, b.lastAttempt(t).RequestHeaders, "Authorization")
}

// A token is fetched once for many attempts, used until shortly before its end, and again with what the server asks for.
func TestActivities_Attempt_fetchesATokenOnce(t *testing.T) {
	t.Parallel()
	receive, seen := guarded(func(string) bool { return true })
	var clock movable
	b, tokens := setupOAuth(t, receive, &clock)
	var crowd sync.WaitGroup
	for i := range 20 {
		in := isolated()
		in.Number = i + 1
		crowd.Go(func() {
			_, err := b.acts.Attempt(t.Context(), in)
			if err != nil {
				t.Error(err)
			}
		})
	}
	crowd.Wait()
	require.Equal(t, 1, tokens.asked())
	require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"a b"}, "audience": {"https://api"}}, tokens.forms[0])
	require.Len(t, seen, 20)
	for range 20 {
		require.Equal(t, "Bearer token-secret-1", received(t, seen))
	}
	made := b.lastAttempt(t)
	require.Equal(t, "[redacted]", made.RequestHeaders["Authorization"])
	require.Equal(t, "you sent Bearer [redacted]", string(made.ResponseBody))

	for after, want := range []string{"token-secret-1", "token-secret-2"} { // at 58 minutes and at 59 minutes and a half
		clock.pass([]time.Duration{58 * time.Minute, 90 * time.Second}[after])
		in := isolated()
		in.Number = 30 + after
		_, err := b.attempt(t, in)
		require.NoError(t, err)
		require.Equal(t, "Bearer "+want, received(t, seen))
	}
	other := *b.store.sending.Endpoint.Auth
	other.Scope = "c"
	b.store.sending.Endpoint.Auth = &other
	in := isolated()
	in.Number = 40
	_, err := b.attempt(t, in)
	require.NoError(t, err)
	require.Equal(t, "Bearer token-secret-3", received(t, seen), "other credentials get another token")
}

// A token that the receiver does not take any more is replaced once, within the attempt.
func TestActivities_Attempt_renewsATokenOn401(t *testing.T) {
	t.Parallel()
	var revoked atomic.Int64 // tokens up to this one
	receive, seen := guarded(func(got string) bool {
		n, _ := strconv.ParseInt(got[len("Bearer token-secret-"):], 10, 64)
		return n > revoked.Load()
	})
	var clock movable
	b, tokens := setupOAuth(t, receive, &clock)
	number := 0
	attempt := func() webhook.Status {
		t.Helper()
		clock.pass(time.Millisecond)
		number++
		in := isolated()
		in.Number = number
		out, err := b.attempt(t, in)
		require.NoError(t, err)
		return out.Status
	}
	require.Equal(t, webhook.StatusDelivered, attempt())
	revoked.Store(1)
	require.Equal(t, webhook.StatusDelivered, attempt())
	require.Equal(t, 200, b.lastAttempt(t).StatusCode)
	require.Equal(t, 2, tokens.asked())
	require.Len(t, seen, 3)

	revoked.Store(1000) // whatever it is given
	for range 3 {
		require.NotEqual(t, webhook.StatusDelivered, attempt())
		require.Equal(t, webhook.ErrorHTTPStatus, b.lastAttempt(t).ErrorClass)
	}
	require.Equal(t, 2, tokens.asked(), "one that was renewed just now is not renewed again")
	clock.pass(time.Minute)
	attempt()
	require.Equal(t, 3, tokens.asked())
}

func TestActivities_Attempt_tokenServerThatFails(t *testing.T) {
	t.Parallel()
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		change func(*webhook.Auth)
		want   string
	}{
		"a wrong secret":   {change: func(a *webhook.Auth) { a.ClientSecret = webhook.SecretFromText("wrong") }, want: "it answered 401 (invalid_client)"},
		"an error of ours": {answer: text(400, `{"error":"invalid_scope"}`), want: "it answered 400 (invalid_scope)"},
		"an unknown error": {answer: text(400, `{"error":"p@ss word"}`), want: "it answered 400"},
		"500":              {answer: text(500, "oops"), want: "it answered 500"},
		"a redirect":       {answer: text(302, ""), want: "it answered 302"},
		"no JSON":          {answer: text(200, "<html>"), want: "its answer is not a JSON object with an access_token"},
		"no token":         {answer: text(200, "{}"), want: "its answer is not a JSON object with an access_token"},
		"another type":     {answer: text(200, `{"access_token":"x","token_type":"mac"}`), want: "its token is not of the type Bearer"},
		"a line feed":      {answer: text(200, `{"access_token":"x\ny"}`), want: "its token cannot be sent as a header"},
		"too long":         {answer: text(200, `{"access_token":"`+string(make([]byte, activities.MaxResponseBody))), want: "its answer is longer than 16 KiB"},
		"not allowed":      {change: func(a *webhook.Auth) { a.TokenURL = "http://10.0.0.1/token" }, want: "private or reserved"},
		"nobody there":     {change: func(a *webhook.Auth) { a.TokenURL = "http://127.0.0.1:1/token" }, want: "the token server cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock movable
			clock.stopAt = time.Now()
			b, tokens := setupOAuth(t, unreachable(t), &clock)
			tokens.change(func(s *tokenServer) { s.answer = c.answer })
			if c.change != nil {
				c.change(b.store.sending.Endpoint.Auth)
			}
			out, err := b.attempt(t, isolated())
			require.NoError(t, err)
			require.Equal(t, webhook.StatusRetrying, out.Status)
			require.InDelta(t, time.Minute, out.Delay, float64(bounded), "retried like any failure")
			made := b.lastAttempt(t)
			require.Equal(t, webhook.ErrorAuth, made.ErrorClass)
			require.Contains(t, made.Error, "the token server gave no token: ")
			require.Contains(t, made.Error, c.want)
			require.NotContains(t, made.Error, "p@ss")
			require.Zero(t, made.StatusCode)
			require.NotContains(t, made.RequestHeaders, "Authorization")

			asked := tokens.asked()
			_, err = b.attempt(t, isolated())
			require.NoError(t, err)
			require.Equal(t, asked, tokens.asked(), "it is left alone for a moment")
		})
	}
}

// A token server that hangs takes no more of an attempt than the endpoint's timeout, and one that comes back is asked again.
func TestActivities_Attempt_tokenServerThatHangs(t *testing.T) {
	t.Parallel()
	receive, seen := guarded(func(string) bool { return true })
	var clock movable
	b, tokens := setupOAuth(t, receive, &clock)
	release := make(chan struct{})
	answerAll := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answerAll)
	tokens.change(func(s *tokenServer) { s.answer = func(http.ResponseWriter, *http.Request) { <-release } })
	timeout := webhook.Duration(100 * time.Millisecond)
	b.store.sending.Endpoint.Timeout = &timeout
	_, err := b.attempt(t, isolated())
	require.NoError(t, err)
	made := b.lastAttempt(t)
	require.Equal(t, webhook.ErrorAuth, made.ErrorClass)
	require.Contains(t, made.Error, "within the endpoint's timeout")
	require.Less(t, made.DurationMS, int64(10_000))

	answerAll() // with an empty answer, which counts for a moment
	tokens.change(func(s *tokenServer) { s.answer = nil })
	long := webhook.Duration(10 * time.Second)
	b.store.sending.Endpoint.Timeout = &long
	for n := 2; ; n++ {
		clock.pass(2 * time.Second)
		in := isolated()
		in.Number = n
		out, err := b.attempt(t, in)
		require.NoError(t, err)
		if out.Status == webhook.StatusDelivered {
			break
		}
		require.Less(t, n, 100)
	}
	require.NotEmpty(t, seen)
}

func TestActivities_Attempt_tokenServersOfAllKinds(t *testing.T) {
	t.Parallel()
	receive, seen := guarded(func(string) bool { return true })
	for life, lasts := range map[string]time.Duration{
		"":       270 * time.Second, // five minutes, less a tenth
		`"600"`:  540 * time.Second,
		"100.5":  90 * time.Second,
		"1e99":   24*time.Hour - time.Minute,
		"0":      0,
		"-5":     0,
		"null":   270 * time.Second,
		"864000": 24*time.Hour - time.Minute,
	} {
		var clock movable
		b, tokens := setupOAuth(t, receive, &clock)
		tokens.change(func(s *tokenServer) { s.life, s.inBody = life, true })
		number := 0
		attempt := func() {
			t.Helper()
			number++
			in := isolated()
			in.Number = number
			out, err := b.attempt(t, in)
			require.NoError(t, err)
			require.Equal(t, webhook.StatusDelivered, out.Status, "expires_in %s", life)
			received(t, seen)
		}
		attempt()
		require.Equal(t, 2, tokens.asked(), "the second request has the credentials in the body")
		if lasts > 0 {
			clock.pass(lasts - 10*time.Second)
			attempt()
			require.Equal(t, 2, tokens.asked(), "expires_in %s", life)
		}
		clock.pass(11 * time.Second)
		attempt()
		require.Equal(t, 3, tokens.asked(), "expires_in %s: it remembers where the credentials go", life)
	}
}
