// Command tradly is a receiver of Tradly's webhooks. It needs Go 1.24 or later and nothing else:
//
//	PORT=3000 WEBHOOK_SECRET=whsec_... go run main.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	largest   = 1 << 20         // bytes of a body
	tolerance = 5 * time.Minute // that a request may be old, or the clocks differ
)

type receiver struct {
	// secrets are two while the secret is being replaced.
	secrets []string

	mu sync.Mutex
	// seen is in your program a table of your database with a unique id, because the same event can arrive twice. The event is in it
	// before the answer: what was answered with 2xx is not sent again.
	seen    map[string]bool
	waiting chan event
}

type event struct {
	id, kind string
	body     []byte
}

// verify returns what is wrong with a request. X-Tradly-Signature is over the event's id alone, so that anybody who has seen one
// request could send another body with it. The signature over the body, byte for byte as it arrived, is in webhook-signature.
func (r *receiver) verify(h http.Header, body []byte) error {
	id, sent := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sent, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("the timestamp is missing or too old")
	}
	var ofID, ofBody []string
	for _, secret := range r.secrets {
		ofID = append(ofID, hex.EncodeToString(sign([]byte(secret), []byte(id))))
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return fmt.Errorf("read the secret: %w", err)
		}
		ofBody = append(ofBody, "v1,"+base64.StdEncoding.EncodeToString(sign(key, []byte(id+"."+sent+"."), body)))
	}
	if !oneOf(h.Get("X-Tradly-Signature"), ofID) {
		return errors.New("X-Tradly-Signature is not valid")
	}
	// While the secret is being replaced there are two signatures, of the old secret and of the new one.
	given := strings.Fields(h.Get("webhook-signature"))
	if !slices.ContainsFunc(given, func(one string) bool { return oneOf(one, ofBody) }) {
		return errors.New("webhook-signature is not valid")
	}
	var event struct{ ID string }
	if err := json.Unmarshal(body, &event); err != nil || event.ID != id {
		return errors.New("the body has another id than the header")
	}
	return nil
}

func sign(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// oneOf takes as long for a guess that is almost right as for any other.
func oneOf(given string, expected []string) bool {
	return slices.ContainsFunc(expected, func(one string) bool { return hmac.Equal([]byte(given), []byte(one)) })
}

func (r *receiver) work() {
	for e := range r.waiting {
		fmt.Println("handled", e.kind, e.id)
	}
}

// accept remembers an event that is new. The work is done later, because the answer must not wait for it.
func (r *receiver) accept(e event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[e.id] {
		return true
	}
	select {
	case r.waiting <- e:
		r.seen[e.id] = true
		return true
	default:
		return false
	}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, largest))
	if err != nil {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err := r.verify(req.Header, body); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var e struct{ ID, Type string }
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, "the body is no JSON", http.StatusBadRequest)
		return
	}
	id, kind := e.ID, e.Type
	if !r.accept(event{id, kind, body}) {
		http.Error(w, "too much waits here; send it again later", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, "ok")
}

func main() {
	r := &receiver{secrets: []string{os.Getenv("WEBHOOK_SECRET")}, seen: map[string]bool{}, waiting: make(chan event, 1000)}
	if r.secrets[0] == "" {
		log.Fatal("WEBHOOK_SECRET is not set")
	}
	if next := os.Getenv("WEBHOOK_SECRET_NEXT"); next != "" {
		r.secrets = append(r.secrets, next)
	}
	go r.work()
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listens on", listener.Addr())
	server := &http.Server{Handler: r, ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
