package receiver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnswer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path    string
		attempt int
		want    int
	}{
		{"/rheo", 1, http.StatusOK},
		{"/rheo/flaky", 1, http.StatusInternalServerError},
		{"/rheo/flaky", 2, http.StatusInternalServerError},
		{"/rheo/flaky", 3, http.StatusOK},
		{"/rheo/down", 9, http.StatusServiceUnavailable},
		{"/rheo/other", 1, http.StatusNotFound},
	} {
		require.Equal(t, test.want, answer(test.path, test.attempt), "%s, attempt %d", test.path, test.attempt)
	}
}

func TestReceiver_Serve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	caFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	_, err := LoadAuthority(caFile, keyFile)
	require.NoError(t, err)
	kept, err := LoadAuthority(caFile, keyFile)
	require.NoError(t, err)
	cert, err := kept.Certificate()
	require.NoError(t, err)

	printed := make(chan string, 10)
	r := New(func(format string, args ...any) { printed <- fmt.Sprintf(format, args...) })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())

	ctx, cancel := context.WithCancel(t.Context())
	ready, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- r.Serve(ctx, addr, cert, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-served:
		require.NoError(t, err)
	}

	// A client that trusts the authority of the file, and nothing else.
	ca, err := os.ReadFile(caFile)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca))
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)

	for attempt, want := range []int{500, 500, 200} {
		res, err := client.Post("https://"+addr+"/rheo/flaky", "application/json", strings.NewReader(`{"eventId":"evt_1"}`))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode)
		line := <-printed
		require.Contains(t, line, fmt.Sprintf("POST /rheo/flaky, attempt %d, answered %d", attempt+1, want))
		require.Contains(t, line, "evt_1")
	}
	cancel()
	require.NoError(t, <-served)
}
