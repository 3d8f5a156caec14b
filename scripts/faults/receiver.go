package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// receiver is every endpoint of a run: the path is the endpoint's name.
type receiver struct {
	base   string
	ledger *ledger
	server *http.Server
	// ending is closed to release those that hang.
	ending chan struct{}

	mu      sync.Mutex
	seen    map[[2]string]int
	targets map[string]*target
	fault   error
}

// target is one endpoint as its receiver knows it.
type target struct {
	behavior
	key []byte // of its signatures
}

func newReceiver(ctx context.Context, l *ledger) (*receiver, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	r := &receiver{
		base: "http://" + listener.Addr().String() + "/", ledger: l, ending: make(chan struct{}),
		seen: map[[2]string]int{}, targets: map[string]*target{},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends with close
	return r, nil
}

func (r *receiver) close() error {
	close(r.ending)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := r.server.Shutdown(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(err, r.fault)
}

// add tells the receiver of an endpoint before the first event is sent.
func (r *receiver) add(name string, b behavior, secret string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return fmt.Errorf("read the secret of %s: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.targets[name] = &target{b, key}
	return nil
}

// ServeHTTP writes the arrival down and then behaves as the endpoint does.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed in the middle: nothing has arrived
	}
	event, name := req.Header.Get("webhook-id"), strings.TrimPrefix(req.URL.Path, "/")
	number, t := r.count(event, name)
	if t == nil {
		r.note(fmt.Errorf("a request for an endpoint %q that is none", name))
		return
	}
	sum := sha256.Sum256(body)
	status := t.status(event, number)
	err = r.ledger.append(arrival{
		Event: event, Endpoint: name, Body: hex.EncodeToString(sum[:]), Signed: signedBy(t.key, req.Header, body),
		Number: number, Status: status, At: time.Now(),
	})
	if err != nil {
		r.note(err)
		status = http.StatusInternalServerError
	}
	if t.misbehave != nil {
		t.misbehave(w, r.ending)
		return
	}
	w.WriteHeader(status)
}

func (r *receiver) count(event, name string) (int, *target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[[2]string{event, name}]++
	return r.seen[[2]string{event, name}], r.targets[name]
}

func (r *receiver) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = errors.Join(r.fault, err)
}

// signedBy verifies a signature as Standard Webhooks 1.0.0 tells receivers to. It shares no code with Waybill's.
func signedBy(key []byte, h http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, given := range strings.Fields(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(given), []byte(want)) {
			return true
		}
	}
	return false
}
