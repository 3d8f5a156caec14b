package receiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Behavior is what a receiver does with a request that has arrived.
type Behavior struct {
	// Does says it in words: "answers 200", "hangs".
	Does string
	// Status is the status of the answer, 0 where no whole answer is given.
	Status int

	act func(*exchange)
}

// exchange is a request under way: by HTTP, or as a stream of frames.
type exchange struct {
	w      http.ResponseWriter
	req    *http.Request
	stream *stream         // nil: by HTTP
	ending context.Context // done when the receiver closes
}

// wait lets time pass, and reports whether both sides are still there.
func (x *exchange) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.gone():
	case <-x.ending.Done():
	}
	return false
}

// gone is closed when the sender has given up.
func (x *exchange) gone() <-chan struct{} {
	if x.stream != nil {
		return x.stream.gone
	}
	return x.req.Context().Done()
}

// abort ends the request without an answer: the connection of HTTP/1.1, the stream of HTTP/2.
func (x *exchange) abort() {
	if x.stream != nil {
		x.stream.reset(internalError)
		return
	}
	panic(http.ErrAbortHandler)
}

// Accept answers 200.
var Accept = Status(http.StatusOK)

// Status answers with a status and nothing else.
func Status(status int) Behavior { return Reply{Status: status}.Behavior() }

// Reply is an answer in full.
type Reply struct {
	Status int // 0: 200
	Header map[string]string
	Body   string
	// After is how long the answer takes.
	After time.Duration
}

// Behavior answers so. A receiver that speaks frames gives the status alone.
func (p Reply) Behavior() Behavior {
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	return Behavior{Does: fmt.Sprintf("answers %d", p.Status), Status: p.Status, act: func(x *exchange) {
		if p.After > 0 && !x.wait(p.After) {
			x.abort()
			return
		}
		if x.stream != nil {
			x.stream.answer(p.Status)
			return
		}
		for name, value := range p.Header {
			x.w.Header().Set(name, value)
		}
		x.w.WriteHeader(p.Status)
		_, _ = io.WriteString(x.w, p.Body) // a sender may leave
	}}
}

// Slow answers 200 after a while.
func Slow(after time.Duration) Behavior {
	b := Reply{After: after}.Behavior()
	b.Does = fmt.Sprintf("answers 200 after %s", after)
	return b
}

// Redirect answers 302 with a place to go to.
func Redirect(location string) Behavior {
	return Reply{Status: http.StatusFound, Header: map[string]string{"Location": location}}.Behavior()
}

// Hang never answers. It lets go when the sender does.
var Hang = Behavior{Does: "hangs", act: func(x *exchange) {
	for x.wait(time.Hour) {
	}
	x.abort()
}}

// Close reads the request and ends the connection without an answer.
var Close = Behavior{Does: "reads the request and closes the connection", act: (*exchange).abort}

// BigBody answers 200 with a body of so many bytes.
func BigBody(size int) Behavior {
	return byHTTP(fmt.Sprintf("answers 200 with %d KiB", size>>10), http.StatusOK, func(x *exchange) {
		block := bytes.Repeat([]byte("x"), 64<<10)
		for size := size; size > 0; size -= len(block) {
			if _, err := x.w.Write(block[:min(size, len(block))]); err != nil {
				return
			}
		}
	})
}

// GzipBomb answers 200 with a body of 16 KiB that unpacks to 16 MiB.
var GzipBomb = byHTTP("answers 200 with a gzip bomb", http.StatusOK, func(x *exchange) {
	x.w.Header().Set("Content-Encoding", "gzip")
	x.w.Header().Set("Content-Length", strconv.Itoa(len(bomb())))
	_, _ = x.w.Write(bomb()) // a sender may leave
})

var bomb = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(make([]byte, 16<<20)) // memory does not fail
	_ = z.Close()
	return out.Bytes()
})

// Drip begins a body and sends a byte of it each second.
var Drip = byHTTP("drips a body, a byte a second", 0, func(x *exchange) {
	x.w.Header().Set("Content-Length", "1000")
	for range 1000 {
		_, err := io.WriteString(x.w, "x")
		if err != nil || http.NewResponseController(x.w).Flush() != nil || !x.wait(time.Second) {
			break
		}
	}
	x.abort()
})

// Informational answers 103 again and again, and never with a final status.
var Informational = byHTTP("answers 103 for ever", 0, func(x *exchange) {
	for ok := true; ok; ok = x.wait(20 * time.Millisecond) {
		x.w.WriteHeader(http.StatusEarlyHints)
	}
	x.abort()
})

// byHTTP is a behavior that receivers that speak frames do not have; they answer 501.
func byHTTP(does string, status int, act func(*exchange)) Behavior {
	return Behavior{Does: does, Status: status, act: func(x *exchange) {
		if x.stream != nil {
			x.stream.answer(http.StatusNotImplemented)
			return
		}
		act(x)
	}}
}

// Always behaves the same every time.
func Always(b Behavior) Answer { return func(*Arrival) Behavior { return b } }

// FailFirst answers the first n arrivals of every webhook with a status, and accepts it afterwards.
func FailFirst(n, status int) Answer {
	return func(a *Arrival) Behavior {
		if a.Number <= n {
			return Status(status)
		}
		return Accept
	}
}

// CloseReused accepts the first request of a connection. When the next one comes it closes the connection without an
// answer, as a receiver does whose idle timeout ends at that moment.
func CloseReused(a *Arrival) Behavior {
	if a.OnConn > 1 {
		return Close
	}
	return Accept
}
