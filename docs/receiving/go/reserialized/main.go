// Command reserialized is the commonest mistake, to be looked at and not to be copied: it verifies what json.Marshal makes of the
// parsed body. The signature is over the bytes that were sent. Marshal sorts the members of a map and escapes <, > and &, and large
// numbers change, so that it works for some bodies and not for others. The command standard has it right.
//
//	PORT=3000 WEBHOOK_SECRET=whsec_... go run main.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// event is what the receiver thinks that an event is.
type event struct {
	Type      string         `json:"type"`
	Timestamp string         `json:"timestamp"`
	Data      map[string]any `json:"data"`
}

type receiver struct{ key []byte }

func (r *receiver) verify(h http.Header, e *event) bool {
	body, err := json.Marshal(e) // WRONG: not what was sent
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, r.key)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(h.Get("webhook-signature")), []byte(expected))
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var e event
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20)).Decode(&e); err != nil {
		http.Error(w, "the body is no JSON", http.StatusBadRequest)
		return
	}
	if !r.verify(req.Header, &e) {
		http.Error(w, "the signature is not valid", http.StatusUnauthorized)
		return
	}
	fmt.Println("handled", e.Type, req.Header.Get("webhook-id"))
	fmt.Fprint(w, "ok")
}

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listens on", listener.Addr())
	server := &http.Server{Handler: &receiver{key}, ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}
