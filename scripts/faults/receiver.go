package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"waybill/scripts/receiver"
)

// receivers are every endpoint of a run: the path is the endpoint's name. Most share a host.
type receivers struct {
	ledger    *ledger
	authority *receiver.Authority

	mu      sync.Mutex
	shared  *receiver.Receiver
	all     []*receiver.Receiver
	seen    map[[2]string]int
	targets map[string]*target
	fault   error
}

// target is one endpoint as its receiver knows it.
type target struct {
	behavior
	keys [][]byte // of its signatures, the first that it had first
}

func newReceivers(ctx context.Context, l *ledger, a *receiver.Authority) (_ *receivers, err error) {
	r := &receivers{ledger: l, authority: a, seen: map[[2]string]int{}, targets: map[string]*target{}}
	r.shared, err = r.start(ctx, receiver.Options{})
	return r, err
}

func (r *receivers) start(ctx context.Context, o receiver.Options) (*receiver.Receiver, error) {
	o.Answer = r.answer
	one, err := receiver.Start(ctx, o)
	if err == nil {
		r.all = append(r.all, one)
	}
	return one, err
}

// listen returns the URL of an endpoint.
func (r *receivers) listen(ctx context.Context, b *behavior) (string, error) {
	host := r.shared
	switch {
	case b.frames:
		cert, err := r.authority.Certificate()
		if err != nil {
			return "", err
		}
		if host, err = r.start(ctx, receiver.Options{Certificate: &cert, Protocol: receiver.Frames}); err != nil {
			return "", err
		}
	case b.apart:
		var err error
		if host, err = r.start(ctx, receiver.Options{}); err != nil {
			return "", err
		}
	}
	return host.URL() + "/" + b.name, nil
}

func (r *receivers) close() error {
	var errs []error
	for _, one := range r.all {
		errs = append(errs, one.Close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(append(errs, r.fault)...)
}

// add tells the receivers of an endpoint before the first event is sent.
func (r *receivers) add(b *behavior, secret string) error {
	r.mu.Lock()
	r.targets[b.name] = &target{behavior: *b}
	r.mu.Unlock()
	return r.learn(b.name, secret)
}

// learn tells the receivers of an endpoint's next secret. They verify with those before it, too.
func (r *receivers) learn(name, secret string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return fmt.Errorf("read the secret of %s: %w", name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.targets[name]
	t.keys = append(t.keys, key)
	return nil
}

// answer writes the arrival down and behaves as the endpoint does.
func (r *receivers) answer(a *receiver.Arrival) receiver.Behavior {
	event, name := a.Header.Get("webhook-id"), strings.TrimPrefix(a.Path, "/")
	number, t, keys := r.count(event, name)
	if t == nil {
		r.note(fmt.Errorf("a request came for the endpoint %q, which there is not", name))
		return receiver.Status(http.StatusNotFound)
	}
	b := t.answer(event, number)
	if t.reused != nil && a.OnConn > 1 {
		b = *t.reused
	}
	sum, by := sha256.Sum256(a.Body), signedBy(keys, a.Header, a.Body)
	err := r.ledger.append(arrival{
		Event: event, Endpoint: name, Body: hex.EncodeToString(sum[:]), Signed: len(by) > 0, By: by,
		Number: number, Status: b.Status, At: a.At,
	})
	if err != nil {
		r.note(err)
		return receiver.Status(http.StatusInternalServerError)
	}
	return b
}

// count returns how often the event has come, its endpoint, nil if there is none, and the keys that this one knows.
func (r *receivers) count(event, name string) (int, *target, [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[[2]string{event, name}]++
	t := r.targets[name]
	if t == nil {
		return r.seen[[2]string{event, name}], nil, nil
	}
	return r.seen[[2]string{event, name}], t, t.keys
}

func (r *receivers) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = errors.Join(r.fault, err)
}

// signedBy returns which of the keys signed, verified as Standard Webhooks 1.0.0 tells receivers to. It shares no code with Waybill's.
func signedBy(keys [][]byte, h http.Header, body []byte) []int {
	var by []int
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, given := range strings.Fields(h.Get("webhook-signature")) {
			if hmac.Equal([]byte(given), []byte(want)) {
				by = append(by, i)
				break
			}
		}
	}
	return by
}
