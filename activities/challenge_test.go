package activities_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
	"waybill/webhook/certtest"
)

// challenge runs the activity as a worker does.
func (b *bundle) challenge(t *testing.T) *activities.ChallengeResult {
	t.Helper()
	value, err := b.env.ExecuteActivity(b.acts.Challenge, activities.ChallengeInput{Tenant: "acme", EndpointID: endpointID})
	require.NoError(t, err)
	out := new(activities.ChallengeResult)
	require.NoError(t, value.Get(out))
	return out
}

// readChallenge returns the token that a receiver was sent.
func readChallenge(r *http.Request) string {
	var sent struct{ Type, Challenge string }
	_ = json.NewDecoder(r.Body).Decode(&sent)
	return sent.Challenge
}

func TestActivities_Challenge_token(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer  func(w http.ResponseWriter, token string)
		refused string
	}{
		"text":       {func(w http.ResponseWriter, token string) { _, _ = io.WriteString(w, token+"\n") }, ""},
		"JSON":       {func(w http.ResponseWriter, token string) { _, _ = io.WriteString(w, `{"challenge":"`+token+`"}`) }, ""},
		"a guess":    {func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") }, "the answer does not repeat the challenge"},
		"nothing":    {func(http.ResponseWriter, string) {}, "the answer does not repeat the challenge"},
		"among else": {func(w http.ResponseWriter, token string) { _, _ = io.WriteString(w, "you sent "+token) }, "the answer does not repeat the challenge"},
		"a failure": {func(w http.ResponseWriter, token string) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, token)
		}, "the receiver answered 404"},
		"a redirect": {func(w http.ResponseWriter, token string) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(http.StatusFound)
			_, _ = io.WriteString(w, token)
		}, "the receiver answered 302"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan *http.Request, 1)
			b := setup(t, func(w http.ResponseWriter, r *http.Request) {
				test.answer(w, readChallenge(r))
				seen <- r
			})
			b.store.sending.Endpoint.Version = 7
			b.store.sending.Endpoint.Auth = &webhook.Auth{Type: webhook.AuthBearer, Token: webhook.SecretFromText("bearer-s3cret")}
			out := b.challenge(t)
			require.Equal(t, &activities.ChallengeResult{Version: 7, Method: webhook.VerifyToken, Refused: test.refused}, out)
			r := <-seen
			require.Equal(t, "POST", r.Method)
			require.NotContains(t, r.Header, "Authorization")
			require.NotContains(t, r.Header, "X-Partner")
			require.NotContains(t, b.logged.String(), "s3cret")
			require.Empty(t, b.store.recorded, "a challenge is no attempt")
		})
	}
}

// A URL that nobody has proven gets no credentials: none is sent, and no token is fetched, until the endpoint's verification asks for it.
// A client certificate is presented, because a receiver that demands one could not answer otherwise.
func TestActivities_Challenge_credentials(t *testing.T) {
	t.Parallel()
	tokens := &tokenServer{life: "3600"}
	served, _ := serve(t, tokens.ServeHTTP)
	for name, test := range map[string]struct {
		auth *webhook.Auth
		want string
	}{
		"basic":  {&webhook.Auth{Type: webhook.AuthBasic, Username: "u", Password: webhook.SecretFromText("p")}, "Basic dTpw"},
		"bearer": {&webhook.Auth{Type: webhook.AuthBearer, Token: webhook.SecretFromText("bearer-s3cret")}, "Bearer bearer-s3cret"},
		"oauth2": {&webhook.Auth{
			Type: webhook.AuthOAuth2, TokenURL: served.URL, ClientID: "c/1", ClientSecret: webhook.SecretFromText("p@ss word"),
		}, "Bearer token-secret-1"},
	} {
		for _, v := range []webhook.Verification{{Method: webhook.VerifyToken}, {Method: webhook.VerifyCloudEvents, Origin: "events.example.com"}} {
			t.Run(name+" "+string(v.Method), func(t *testing.T) {
				seen := make(chan http.Header, 1)
				b := setup(t, func(w http.ResponseWriter, r *http.Request) {
					seen <- r.Header
					w.Header().Set("WebHook-Allowed-Origin", "*")
					if r.Header.Get("Authorization") != test.want || r.Header.Get("X-Partner") != headerText {
						w.WriteHeader(http.StatusUnauthorized)
					}
					_, _ = io.WriteString(w, readChallenge(r))
				})
				b.store.sending.Endpoint.Auth, b.store.sending.Endpoint.Verification = test.auth, &v
				before := tokens.asked()
				refused := b.challenge(t).Refused
				require.Contains(t, refused, "answered 401; a challenge has neither auth nor headers")
				got := <-seen
				require.NotContains(t, got, "Authorization")
				require.NotContains(t, got, "X-Partner")
				require.Equal(t, before, tokens.asked())

				with := v
				with.Credentials = true
				b.store.sending.Endpoint.Verification = &with
				if name == "oauth2" {
					tokens.change(func(s *tokenServer) { s.forms = nil }) // so that the token is the first
				}
				require.Empty(t, b.challenge(t).Refused)
			})
		}
	}
}

func TestActivities_Challenge_presentsACertificate(t *testing.T) {
	t.Parallel()
	ca := certtest.NewAuthority(t)
	s, seen, _ := serveCertified(t, ca, 0, tls.RequireAndVerifyClientCert)
	b := setup(t, unreachable(t), func(o *activities.Options) { o.Transport = newTransport(t, s) })
	certificate, key := ca.Issue(t, "the endpoint", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	e := b.store.sending.Endpoint
	e.URL, e.Auth = s.URL, &webhook.Auth{Type: webhook.AuthMTLS, Certificate: certificate, Key: webhook.SecretFromText(key)}
	require.Equal(t, "the answer does not repeat the challenge", b.challenge(t).Refused)
	require.Equal(t, "the endpoint", <-seen)
}

// Each challenge has a token of its own: an answer to one proves nothing for the next.
func TestActivities_Challenge_tokenIsNew(t *testing.T) {
	t.Parallel()
	var first string
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		token := readChallenge(r)
		if first == "" {
			first = token
		}
		_, _ = io.WriteString(w, first)
	})
	require.Empty(t, b.challenge(t).Refused)
	require.NotEmpty(t, b.challenge(t).Refused)
	require.GreaterOrEqual(t, len(first), 26)
}

func TestActivities_Challenge_cloudEvents(t *testing.T) {
	t.Parallel()
	const origin = "events.example.com"
	for name, test := range map[string]struct {
		status      int
		allow, rate string
		want        activities.ChallengeResult
	}{
		"allowed":        {200, origin, "120", activities.ChallengeResult{AllowedRate: 120}},
		"all, no limit":  {204, "*", "*", activities.ChallengeResult{}},
		"no rate":        {200, "*", "", activities.ChallengeResult{}},
		"huge rate":      {200, "*", "9000000000000000000", activities.ChallengeResult{AllowedRate: 600_000}},
		"silent":         {200, "", "", activities.ChallengeResult{Refused: "the answer's header WebHook-Allowed-Origin does not name the origin"}},
		"another origin": {200, "other.example.com", "*", activities.ChallengeResult{Refused: "the answer's header WebHook-Allowed-Origin does not name the origin"}},
		"rate of none":   {200, "*", "0", activities.ChallengeResult{Refused: "the answer's header WebHook-Allowed-Rate is neither * nor a number of requests a minute"}},
		"not offered":    {405, "*", "*", activities.ChallengeResult{Refused: "the receiver answered 405"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan *http.Request, 1)
			b := setup(t, func(w http.ResponseWriter, r *http.Request) {
				for name, value := range map[string]string{"WebHook-Allowed-Origin": test.allow, "WebHook-Allowed-Rate": test.rate} {
					if value != "" {
						w.Header().Set(name, value)
					}
				}
				w.WriteHeader(test.status)
				seen <- r
			})
			b.store.sending.Endpoint.Verification = &webhook.Verification{Method: webhook.VerifyCloudEvents, Origin: origin}
			b.store.sending.Endpoint.Auth = &webhook.Auth{Type: webhook.AuthBearer, Token: webhook.SecretFromText("bearer-s3cret")}
			want := test.want
			want.Method = webhook.VerifyCloudEvents
			require.Equal(t, &want, b.challenge(t))
			r := <-seen
			require.Equal(t, "OPTIONS", r.Method)
			require.Equal(t, origin, r.Header.Get("WebHook-Request-Origin"))
			require.NotContains(t, r.Header, "Authorization")
			require.NotContains(t, r.Header, "X-Partner")
			require.Equal(t, "/hook?token=s3cret-query", r.URL.RequestURI(), "the URL that deliveries go to")
		})
	}
}

// A delivery names the origin that was asked for.
func TestActivities_Attempt_namesTheOrigin(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 2)
	b := setup(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("WebHook-Request-Origin") })
	b.store.sending.Endpoint.Verification = &webhook.Verification{Method: webhook.VerifyCloudEvents, Origin: "events.example.com"}
	_, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, "events.example.com", <-seen)
}

// The guard holds for challenges too, and what it refuses has proven nothing.
func TestActivities_Challenge_isGuarded(t *testing.T) {
	t.Parallel()
	s, conns := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, readChallenge(r)) })
	b := setup(t, nil, func(o *activities.Options) {
		var err error
		o.Transport, err = activities.NewTransport(activities.TransportOptions{})
		require.NoError(t, err)
	})
	b.store.sending.Endpoint.URL = s.URL
	for _, v := range []*webhook.Verification{nil, {Method: webhook.VerifyCloudEvents, Origin: "events.example.com"}} {
		b.store.sending.Endpoint.Verification = v
		require.NotEmpty(t, b.challenge(t).Refused)
	}
	require.Zero(t, conns.Load())
}

// A test that was accepted before its endpoint's URL changed goes nowhere.
func TestActivities_Attempt_testOfUnverified(t *testing.T) {
	t.Parallel()
	b := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	b.store.sending.Delivery.Test, b.store.sending.Endpoint.Unverified = true, true
	b.store.onCancel = func(reason string) (*webhook.Delivery, error) {
		return &webhook.Delivery{ID: deliveryID, Status: webhook.StatusCanceled, Reason: reason}, nil
	}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusCanceled, out.Status)
	require.Equal(t, "the endpoint is not verified", out.Reason)
}

func TestActivities_Challenge_ofNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })
	_, err := b.env.ExecuteActivity(b.acts.Challenge, activities.ChallengeInput{Tenant: "other", EndpointID: endpointID})
	require.ErrorContains(t, err, "no such thing")
}
