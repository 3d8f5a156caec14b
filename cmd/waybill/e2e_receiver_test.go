package main_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	hooks "waybill/scripts/receiver"
)

// receiver is a webhook receiver that speaks TLS, keeps what arrives, and answers by a script.
type receiver struct {
	url string

	mu       sync.Mutex
	arrivals []arrival
	script   []reply
}

// arrival is one request, as it arrived.
type arrival struct {
	body     []byte
	header   http.Header
	at       time.Time
	answered time.Time // zero until it is

	of *hooks.Arrival
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
	r := &receiver{script: script}
	r.listen(t, r.take)
	return r
}

// listen starts the receiver, which answers as it is told.
func (r *receiver) listen(t *testing.T, answer hooks.Answer) {
	t.Helper()
	a, err := theAuthority()
	require.NoError(t, err)
	cert, err := a.Certificate()
	require.NoError(t, err)
	// HTTP/1.1 alone: each request under way has its connection for itself.
	started, err := hooks.Start(t.Context(), hooks.Options{Certificate: &cert, Protocol: hooks.HTTP1, Answer: answer, Answered: r.answered})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Close()) })
	r.url = started.URL()
}

// take keeps an arrival and returns the answer that is next.
func (r *receiver) take(a *hooks.Arrival) hooks.Behavior {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrivals = append(r.arrivals, arrival{body: a.Body, header: a.Header, at: a.At, of: a})
	var answer reply
	if len(r.script) > 0 {
		answer = r.script[0]
	}
	if len(r.script) > 1 {
		r.script = r.script[1:]
	}
	return hooks.Reply{Status: answer.status, Header: answer.header, Body: answer.body, After: answer.after}.Behavior()
}

// answered notes when an arrival was answered.
func (r *receiver) answered(a *hooks.Arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.arrivals {
		if r.arrivals[i].of == a {
			r.arrivals[i].answered = time.Now()
		}
	}
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
