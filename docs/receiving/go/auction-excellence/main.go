// Command auction-excellence is a receiver of Auction Excellence's webhooks. It needs Go 1.24 or later and nothing else:
//
//	PORT=3000 WEBHOOK_SECRET=whsec_... go run main.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	largest   = 1 << 20         // bytes of a body
	tolerance = 5 * time.Minute // that a request may be old, or the clocks differ
)

type receiver struct {
	// secrets are two while the secret is being replaced. The key is the secret as it is shown, whsec_ included.
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

// verify returns what is wrong with a request. The body is what arrived, byte for byte: that is what was signed.
func (r *receiver) verify(h http.Header, body []byte) error {
	// The time is in no signature, so this stops what was sent by mistake. Against an attacker the webhook_id helps.
	seconds, err := strconv.ParseInt(h.Get("X-Webhook-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("the timestamp is missing or too old")
	}
	for _, secret := range r.secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		expected := "sha256=" + hex.EncodeToString(mac.Sum(nil))
		// Equal takes as long for a guess that is almost right as for any other.
		if hmac.Equal([]byte(h.Get("X-Webhook-Signature")), []byte(expected)) {
			return nil
		}
	}
	return errors.New("the signature is not valid")
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
	var e struct {
		Event string
		ID    string `json:"webhook_id"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, "the body is no JSON", http.StatusBadRequest)
		return
	}
	id, kind := e.ID, e.Event
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
