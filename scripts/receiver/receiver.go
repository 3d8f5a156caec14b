package receiver

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxBody is more than any webhook of the demonstration has.
const maxBody = 1 << 20

// flakyFailures is how often /{dialect}/flaky fails before it takes the same body.
const flakyFailures = 2

// Receiver answers webhooks and prints each one. The path decides the answer: /{dialect} accepts, /{dialect}/flaky
// fails twice for each body and then accepts, /{dialect}/down always fails.
type Receiver struct {
	print func(format string, args ...any)

	mu sync.Mutex
	// seen counts the arrivals of one body on one path: a retry sends the same bytes.
	seen map[string]int
}

// New returns a receiver that prints with the given function, one call for each arrival.
func New(print func(format string, args ...any)) *Receiver {
	return &Receiver{print: print, seen: map[string]int{}}
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		http.Error(w, "the body could not be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	attempt := r.count(req.URL.Path, body)
	status := answer(req.URL.Path, attempt)
	w.WriteHeader(status)
	r.print("%s", describe(time.Now(), req, body, attempt, status))
}

func (r *Receiver) count(path string, body []byte) int {
	sum := sha256.Sum256(body)
	key := path + "\n" + string(sum[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[key]++
	return r.seen[key]
}

func answer(path string, attempt int) int {
	_, behavior, _ := strings.Cut(strings.Trim(path, "/"), "/")
	switch {
	case behavior == "flaky" && attempt <= flakyFailures:
		return http.StatusInternalServerError
	case behavior == "down":
		return http.StatusServiceUnavailable
	case behavior != "" && behavior != "flaky":
		return http.StatusNotFound
	}
	return http.StatusOK
}

// describe puts an arrival into a few lines: what was asked and answered, the headers that are the sender's own, and
// the beginning of the body.
func describe(now time.Time, req *http.Request, body []byte, attempt, status int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  received %s %s, attempt %d, answered %d", now.Format("15:04:05.000"), req.Method, req.URL.Path, attempt, status)
	for _, name := range sortedNames(req.Header) {
		fmt.Fprintf(&b, "\n    %s: %s", name, shorten(strings.Join(req.Header[name], ", "), 100))
	}
	fmt.Fprintf(&b, "\n    %s", shorten(string(body), 400))
	return b.String()
}

func shorten(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d more)", string(runes[:limit]), len(runes)-limit)
}

// Serve serves TLS on addr until the context is done. It has the port when it calls ready.
func (r *Receiver) Serve(ctx context.Context, addr string, cert tls.Certificate, ready func()) error {
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("start the demo receiver: %w", err)
	}
	server := &http.Server{
		Handler: r, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	ready()
	if err := server.ServeTLS(plain, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the demo receiver: %w", err)
	}
	return nil
}
