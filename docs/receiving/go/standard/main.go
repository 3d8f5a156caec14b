// Command standard is a receiver of webhooks of the dialect standard (Standard Webhooks 1.0.0). It needs Go 1.24 or later and nothing else:
//
//	PORT=3000 WEBHOOK_SECRET=whsec_... go run main.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
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
	key []byte // what whsec_ is followed by, which is base64

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
	id, sent := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sent, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("the timestamp is missing or too old")
	}
	mac := hmac.New(sha256.New, r.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, sent, body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	// While the secret is being replaced there are two signatures, of the old secret and of the new one.
	for given := range strings.FieldsSeq(h.Get("webhook-signature")) {
		// Equal takes as long for a guess that is almost right as for any other.
		if hmac.Equal([]byte(given), []byte(expected)) {
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
	var e struct{ Type string }
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, "the body is no JSON", http.StatusBadRequest)
		return
	}
	id, kind := req.Header.Get("webhook-id"), e.Type
	if !r.accept(event{id, kind, body}) {
		http.Error(w, "too much waits here; send it again later", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, "ok")
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil || len(key) == 0 {
		log.Fatal("WEBHOOK_SECRET is not whsec_ and base64")
	}
	r := &receiver{key: key, seen: map[string]bool{}, waiting: make(chan event, 1000)}
	go r.work()
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listens on", listener.Addr())
	server := &http.Server{Handler: r, ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
