package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// receiver is a webhook receiver that speaks TLS, keeps what arrives, and answers by a script.
type receiver struct {
	url string

	mu       sync.Mutex
	arrivals []arrival
	script   []reply
	closing  chan struct{}
}

// arrival is one request, as it arrived.
type arrival struct {
	body     []byte
	header   http.Header
	at       time.Time
	answered time.Time // zero until it is
}

// reply is one answer. The zero reply is 200 at once.
type reply struct {
	status int
	header map[string]string
	body   string
	after  time.Duration
}

// fails answers n requests with 500; what comes later gets 200.
func fails(n int) []reply { return append(slices.Repeat([]reply{{status: 500}}, n), reply{}) }

// newReceiver returns a receiver that gives the replies of the script in turn, the last one for good.
func newReceiver(t *testing.T, script ...reply) *receiver {
	t.Helper()
	a, err := theAuthority()
	require.NoError(t, err)
	r := &receiver{script: script, closing: make(chan struct{})}
	server := httptest.NewUnstartedServer(r)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.receiver}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // broken connections are part of the tests
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(r.closing) })
	r.url = server.URL
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	answer, n := r.take(arrival{body: body, header: req.Header.Clone(), at: at})
	if answer.after > 0 {
		select {
		case <-time.After(answer.after):
		case <-r.closing:
			return
		}
	}
	for name, value := range answer.header {
		w.Header().Set(name, value)
	}
	if answer.status != 0 {
		w.WriteHeader(answer.status)
	}
	_, _ = io.WriteString(w, answer.body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrivals[n].answered = time.Now()
}

func (r *receiver) take(a arrival) (reply, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrivals = append(r.arrivals, a)
	var answer reply
	if len(r.script) > 0 {
		answer = r.script[0]
	}
	if len(r.script) > 1 {
		r.script = r.script[1:]
	}
	return answer, len(r.arrivals) - 1
}

// answers replaces the rest of the script.
func (r *receiver) answers(script ...reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script = script
}

// got returns what has arrived so far.
func (r *receiver) got() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.arrivals)
}

// wait returns the arrivals once there are n of them, and fails the test when there are more.
func (r *receiver) wait(t *testing.T, n int) []arrival {
	t.Helper()
	await(t, patience, fmt.Sprintf("%d requests at the receiver", n), func() error {
		if got := len(r.got()); got < n {
			return fmt.Errorf("%d have come", got)
		}
		return nil
	})
	got := r.got()
	require.Len(t, got, n)
	return got
}

// waitAnswered is wait, but until all n are answered too.
func (r *receiver) waitAnswered(t *testing.T, n int) []arrival {
	t.Helper()
	r.wait(t, n)
	await(t, patience, "the receiver's answer", func() error {
		for i, a := range r.got() {
			if a.answered.IsZero() {
				return fmt.Errorf("request %d is not answered", i+1)
			}
		}
		return nil
	})
	return r.got()
}

// requireBytes compares bodies byte for byte: that they mean the same is not enough.
func requireBytes(t *testing.T, want string, got []byte) {
	t.Helper()
	if string(got) != want {
		t.Fatalf("the body is\n%s\nnot\n%s", got, want)
	}
}
