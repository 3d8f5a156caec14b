// Package receiver is the one webhook receiver of the demonstration, the fault suite, the benchmark and the tests. It has
// behaviors: for each request that has arrived its user chooses one, well-mannered or not. It imports nothing of Waybill,
// so that checks of Waybill with it do not share Waybill's mistakes.
package receiver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxBody bounds a request's body, in bytes. What is longer is answered 413 and does not count as arrived.
	maxBody = 16 << 20
	// maxSeen bounds for how many webhooks Arrival.Number is known. Then counting starts again from 1.
	maxSeen = 100_000
)

// Arrival is one whole request, before it is answered.
type Arrival struct {
	Method, Path, Proto string
	Header              http.Header
	Body                []byte
	At                  time.Time
	// Number counts from 1 the arrivals of the same body at the same path: a retry sends the same bytes.
	Number int
	// OnConn counts from 1 the requests of one connection: above 1 the sender has used the connection again.
	OnConn int
}

// Answer chooses how to behave. It is called with every arrival, before anything is answered, and by several goroutines at
// a time: what it writes down is written down even where the behavior is to give no answer.
type Answer func(*Arrival) Behavior

// Protocol is what a receiver speaks.
type Protocol int

// The protocols.
const (
	// Any is HTTP/1.1, and with a certificate HTTP/2 too.
	Any Protocol = iota
	// HTTP1 is HTTP/1.1 alone.
	HTTP1
	// Frames is HTTP/2 alone, frame by frame: GoAway and RefuseStream need it, and of the others only those that answer a
	// status, or nothing, work with it. It needs a certificate.
	Frames
)

// Options say where a receiver listens and how it behaves.
type Options struct {
	// Addr is where to listen; "": a free port of 127.0.0.1.
	Addr string
	// Certificate, unless nil, has it speak TLS.
	Certificate *tls.Certificate
	Protocol    Protocol
	// Answer chooses the behaviors; nil: Accept for everything.
	Answer Answer
	// Answered is called after an answer was given whole; nil: nothing is.
	Answered func(*Arrival)
}

func (o *Options) setDefaults() {
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	if o.Answer == nil {
		o.Answer = Always(Accept)
	}
	if o.Answered == nil {
		o.Answered = func(*Arrival) {}
	}
}

// Receiver listens until it is closed.
type Receiver struct {
	o      Options
	url    string
	server *http.Server
	served chan error
	// ending is done when the receiver closes.
	ending context.Context
	end    context.CancelFunc

	conns, arrivals atomic.Int64

	mu      sync.Mutex
	closed  bool
	working sync.WaitGroup // requests and connections under way
	seen    map[[sha256.Size]byte]int
}

// Start returns a receiver that listens.
func Start(ctx context.Context, o Options) (*Receiver, error) {
	o.setDefaults()
	if o.Protocol == Frames && o.Certificate == nil {
		return nil, errors.New("start a receiver: a receiver that speaks frames needs a certificate")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("start a receiver: %w", err)
	}
	r := &Receiver{o: o, url: "http://" + l.Addr().String(), served: make(chan error, 1), seen: map[[sha256.Size]byte]int{}}
	r.ending, r.end = context.WithCancel(context.Background())
	r.server = &http.Server{
		Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: 10 * time.Second, ConnContext: r.connect,
		ErrorLog: log.New(io.Discard, "", 0), // broken connections are what a receiver is for
	}
	if o.Certificate == nil {
		go func() { r.served <- r.server.Serve(l) }()
		return r, nil
	}
	r.url = "https://" + l.Addr().String()
	r.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*o.Certificate}, MinVersion: tls.VersionTLS12}
	switch o.Protocol {
	case HTTP1:
		r.server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	case Frames:
		r.server.TLSConfig.NextProtos = []string{"h2"}
		r.server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": r.serveFrames}
	}
	go func() { r.served <- r.server.ServeTLS(l, "", "") }()
	return r, nil
}

// URL is where it listens, without a path: https://127.0.0.1:8090.
func (r *Receiver) URL() string { return r.url }

// Count is how many requests have arrived, answered or not.
func (r *Receiver) Count() int { return int(r.arrivals.Load()) }

// Conns is how many connections were accepted so far.
func (r *Receiver) Conns() int { return int(r.conns.Load()) }

// Close ends every connection and whatever hangs, and waits for that. It returns why the receiver stopped listening, if it
// did before.
func (r *Receiver) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	err := r.server.Close()
	r.working.Wait()
	served := <-r.served
	r.served <- served // for another Close
	if errors.Is(served, http.ErrServerClosed) {
		served = nil
	}
	return errors.Join(err, served)
}

// begin reports whether something may begin that Close is to wait for: until working.Done.
func (r *Receiver) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.working.Add(1)
	}
	return !r.closed
}

type requestsKey struct{}

// connect counts a connection and gives it a counter of its requests.
func (r *Receiver) connect(ctx context.Context, _ net.Conn) context.Context {
	r.conns.Add(1)
	return context.WithValue(ctx, requestsKey{}, new(atomic.Int64))
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	if !r.begin() {
		panic(http.ErrAbortHandler)
	}
	defer r.working.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, "the body is longer than a webhook's", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		panic(http.ErrAbortHandler) // the sender ended in the middle: nothing has arrived
	}
	a := &Arrival{
		Method: req.Method, Path: req.URL.Path, Proto: req.Proto, Header: req.Header, Body: body, At: time.Now(),
		OnConn: int(req.Context().Value(requestsKey{}).(*atomic.Int64).Add(1)),
	}
	r.arrive(a, &exchange{w: w, req: req, ending: r.ending})
}

// arrive counts an arrival, has its behavior chosen and behaves so.
func (r *Receiver) arrive(a *Arrival, x *exchange) {
	r.arrivals.Add(1)
	a.Number = r.number(a)
	r.o.Answer(a).act(x)
	r.o.Answered(a)
}

func (r *Receiver) number(a *Arrival) int {
	h := sha256.New()
	_, _ = io.WriteString(h, a.Path+"\n") // a hash takes everything
	_, _ = h.Write(a.Body)
	key := [sha256.Size]byte(h.Sum(nil))
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) >= maxSeen && r.seen[key] == 0 {
		clear(r.seen)
	}
	r.seen[key]++
	return r.seen[key]
}

// ByPath chooses by the whole path, or else by its last element; what has neither is left to otherwise.
func ByPath(answers map[string]Answer, otherwise Answer) Answer {
	return func(a *Arrival) Behavior {
		for _, name := range []string{a.Path, a.Path[strings.LastIndex(a.Path, "/")+1:]} {
			if answer := answers[name]; answer != nil {
				return answer(a)
			}
		}
		return otherwise(a)
	}
}
