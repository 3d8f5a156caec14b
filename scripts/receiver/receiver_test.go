package receiver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var testAuthority = sync.OnceValues(NewAuthority)

// started is a receiver of one test and what arrived there.
type started struct {
	*Receiver
	mu       sync.Mutex
	recorded []Arrival
}

// start starts a receiver. With a certificate it is one of testAuthority's.
func start(t *testing.T, secure bool, p Protocol, answer Answer) *started {
	t.Helper()
	s := &started{}
	o := Options{Protocol: p, Answer: func(a *Arrival) Behavior {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.recorded = append(s.recorded, *a)
		return answer(a)
	}}
	if secure {
		a, err := testAuthority()
		require.NoError(t, err)
		cert, err := a.Certificate()
		require.NoError(t, err)
		o.Certificate = &cert
	}
	var err error
	s.Receiver, err = Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// arrivals returns what was recorded.
func (s *started) all() []Arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Arrival(nil), s.recorded...)
}

// newClient trusts testAuthority and unpacks nothing.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	a, err := testAuthority()
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(a.PEM()))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Timeout: 10 * time.Second, Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// post sends a webhook that net/http does not send twice by itself, and returns as much of the answer as came.
func post(ctx context.Context, c *http.Client, url, body string) (got answer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return got, err
	}
	req.GetBody = nil
	return do(c, req)
}

func do(c *http.Client, req *http.Request) (got answer, err error) {
	res, err := c.Do(req)
	if err != nil {
		return got, err
	}
	defer func() { _ = res.Body.Close() }()
	got.status, got.header = res.StatusCode, res.Header
	got.body, err = io.ReadAll(res.Body)
	return got, err
}

// wires are the ways to speak to a receiver.
var wires = map[string]struct {
	secure   bool
	protocol Protocol
	proto    string
}{
	"plain":        {false, Any, "HTTP/1.1"},
	"TLS":          {true, HTTP1, "HTTP/1.1"},
	"TLS, HTTP/2":  {true, Any, "HTTP/2.0"},
	"TLS, frames":  {true, Frames, "HTTP/2.0"},
	"plain, HTTP1": {false, HTTP1, "HTTP/1.1"},
}

// Each wire tells what has arrived, whole, before it answers.
func TestReceiver_Records(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789abcdef", 20_000) // many frames
	for name, w := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, c := start(t, w.secure, w.protocol, FailFirst(1, 503)), newClient(t)
			for n, want := range []int{503, 200, 200} {
				before := time.Now()
				got, err := post(t.Context(), c, r.URL()+"/hook", body)
				require.NoError(t, err)
				require.Equal(t, want, got.status)
				arrived := r.all()
				require.Len(t, arrived, n+1)
				a := arrived[n]
				require.Equal(t, body, string(a.Body))
				require.Equal(t, []any{"POST", "/hook", w.proto, n + 1, n + 1}, []any{a.Method, a.Path, a.Proto, a.Number, a.OnConn})
				require.NotEmpty(t, a.Header.Get("User-Agent"))
				require.WithinRange(t, a.At, before, time.Now())
			}
			require.Equal(t, 3, r.Count())
			require.Equal(t, 1, r.Conns())
			got, err := post(t.Context(), c, r.URL()+"/hook", "another")
			require.NoError(t, err)
			require.Equal(t, 503, got.status, "another webhook has a count of its own")
		})
	}
}

func TestReceiver_TooLarge(t *testing.T) {
	t.Parallel()
	r := start(t, false, Any, Always(Accept))
	_, err := post(t.Context(), newClient(t), r.URL(), strings.Repeat("x", maxBody))
	require.NoError(t, err)
	require.Equal(t, 1, r.Count())
	got, err := post(t.Context(), newClient(t), r.URL(), strings.Repeat("x", maxBody+1))
	if err == nil { // or it was cut off while it sent
		require.Equal(t, http.StatusRequestEntityTooLarge, got.status)
	}
	require.Equal(t, 1, r.Count())
}

// What counts webhooks does not grow for ever.
func TestReceiver_Forgets(t *testing.T) {
	t.Parallel()
	r := start(t, false, Any, Always(Accept))
	for n := range maxSeen {
		r.seen[[32]byte{byte(n), byte(n >> 8), byte(n >> 16), 1}] = 1
	}
	a := &Arrival{Path: "/", Body: []byte("x")}
	require.Equal(t, 1, r.number(a))
	require.Len(t, r.seen, 1)
	require.Equal(t, 2, r.number(a))
}

func TestReceiver_Refused(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Protocol: Frames})
	require.ErrorContains(t, err, "needs a certificate")
	r := start(t, false, Any, Always(Accept))
	_, err = Start(t.Context(), Options{Addr: strings.TrimPrefix(r.URL(), "http://")})
	require.ErrorContains(t, err, "start a receiver")
}

// A receiver that closes lets nobody wait who hangs.
func TestReceiver_Close(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{}, 1)
			r := start(t, w.secure, w.protocol, func(*Arrival) Behavior {
				arrived <- struct{}{}
				return Hang
			})
			answered, c := make(chan error), newClient(t)
			go func() {
				_, err := post(t.Context(), c, r.URL(), "x")
				answered <- err
			}()
			<-arrived
			require.NoError(t, r.Close())
			require.Error(t, <-answered)
		})
	}
}

// A request that ends in the middle has not arrived.
func TestReceiver_HalfARequest(t *testing.T) {
	t.Parallel()
	r := start(t, false, Any, Always(Accept))
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.URL(), "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	_, err = io.Copy(io.Discard, conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Zero(t, r.Count())
}

func TestByPath(t *testing.T) {
	t.Parallel()
	answer := ByPath(map[string]Answer{"/whole/path": Always(Status(201)), "last": Always(Status(202))}, Always(Status(404)))
	for path, status := range map[string]int{"/whole/path": 201, "/x/last": 202, "/last": 202, "/": 404, "/last/x": 404, "/path": 404} {
		require.Equal(t, status, answer(&Arrival{Path: path}).Status, path)
	}
}

// Whoever trusts the file of the authority trusts the receiver.
func TestLoadAuthority(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	caFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	made, err := LoadAuthority(caFile, keyFile)
	require.NoError(t, err)
	kept, err := LoadAuthority(caFile, keyFile)
	require.NoError(t, err)
	require.Equal(t, made.PEM(), kept.PEM())
	file, err := os.ReadFile(caFile)
	require.NoError(t, err)
	require.Equal(t, made.PEM(), file)
	cert, err := kept.Certificate()
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(file))
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"})
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(keyFile, []byte("x"), 0o600))
	_, err = LoadAuthority(caFile, keyFile)
	require.ErrorContains(t, err, "it holds no PEM")
}
