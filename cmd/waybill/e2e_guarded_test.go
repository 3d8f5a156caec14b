package main_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hooks "waybill/scripts/receiver"
)

// tokenServer gives tokens to one client: its name and a number, from 1.
type tokenServer struct {
	url, name string

	mu      sync.Mutex
	secret  string
	failing bool
	asked   int // requests of the client with its secret
	refused int
}

func newTokenServer(t *testing.T, name, secret string) *tokenServer {
	t.Helper()
	s := &tokenServer{name: name, secret: secret}
	s.url = startGuarded(t, s.answer) + "/token"
	return s
}

// startGuarded starts a server that speaks TLS, and returns its URL.
func startGuarded(t *testing.T, answer hooks.Answer) string {
	t.Helper()
	a, err := theAuthority()
	require.NoError(t, err)
	cert, err := a.Certificate()
	require.NoError(t, err)
	started, err := hooks.Start(t.Context(), hooks.Options{Certificate: &cert, Protocol: hooks.HTTP1, Answer: answer})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Close()) })
	return started.URL()
}

func (s *tokenServer) answer(a *hooks.Arrival) hooks.Behavior {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Header.Get("Authorization") != basic("client", url.QueryEscape(s.secret)) {
		s.refused++
		return hooks.Reply{Status: http.StatusUnauthorized, Body: `{"error":"invalid_client","error_description":"you sent ` + string(a.Body) + `"}`}.Behavior()
	}
	s.asked++
	if s.failing {
		return hooks.Reply{Status: http.StatusServiceUnavailable, Body: "you sent " + a.Header.Get("Authorization")}.Behavior()
	}
	return hooks.Reply{Body: fmt.Sprintf(`{"access_token":"%s-%d","token_type":"Bearer","expires_in":3600}`, s.name, s.asked)}.Behavior()
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func (s *tokenServer) fail(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = yes
}

func (s *tokenServer) count() (asked, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.refused
}

// auth is what an endpoint needs to get a token.
func (s *tokenServer) auth(secret string) fields {
	return fields{"type": "oauth2", "token_url": s.url, "client_id": "client", "client_secret": secret}
}

// guarded is a receiver that takes requests with one Authorization only, or all that begin like one that ends with a star, and tells
// everybody what they sent, as careless ones do.
type guarded struct {
	url string

	mu   sync.Mutex
	want string
	got  []string
}

func newGuarded(t *testing.T, want string) *guarded {
	t.Helper()
	r := &guarded{want: want}
	r.url = startGuarded(t, r.answer)
	return r
}

func (r *guarded) answer(a *hooks.Arrival) hooks.Behavior {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := a.Header.Get("Authorization")
	r.got = append(r.got, sent)
	reply := hooks.Reply{Body: "you sent " + sent + " and " + a.Header.Get("X-Api-Key"), Header: map[string]string{"X-Echo": sent}}
	begins, starred := strings.CutSuffix(r.want, "*")
	if sent != begins && (!starred || !strings.HasPrefix(sent, begins)) {
		reply.Status = http.StatusUnauthorized
	}
	return reply.Behavior()
}

func (r *guarded) demand(want string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want = want
}

// seen returns the Authorization of each request.
func (r *guarded) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// certified is a receiver that demands a client certificate of its authority.
type certified struct {
	url       string
	authority *hooks.Authority

	mu  sync.Mutex
	got []string // the names in the certificates
}

func newCertified(t *testing.T) *certified {
	t.Helper()
	a, err := theAuthority()
	require.NoError(t, err)
	cert, err := a.Certificate()
	require.NoError(t, err)
	r := new(certified)
	r.authority, err = hooks.NewAuthority()
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: r.authority.Pool(), MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *certified) serve(_ http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, req.TLS.PeerCertificates[0].Subject.CommonName)
}

func (r *certified) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// certificate returns the auth of an endpoint with a certificate of an authority, which ends so long from now.
func certificate(t *testing.T, of *hooks.Authority, name string, lasts time.Duration) fields {
	t.Helper()
	certificate, key, err := of.Client(name, time.Now().Add(-100*24*time.Hour), time.Now().Add(lasts))
	require.NoError(t, err)
	return fields{"type": "mtls", "certificate": certificate, "key": key}
}
