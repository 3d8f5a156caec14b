package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// behavior is what an endpoint does and what Waybill must make of it.
type behavior struct {
	name string
	// schedule and timeout are the endpoint's settings.
	schedule []string
	timeout  string
	// status is the answer to the nth arrival of an event; 0 for what misbehave does instead, if that is no answer.
	status func(event string, number int) int
	// misbehave takes over after the arrival was written down.
	misbehave func(w http.ResponseWriter, ending <-chan struct{})
	// settles are the statuses that a delivery may end in.
	settles []string
}

// patient is a schedule that outlasts every outage of the suite.
var patient = []string{"1s", "1s", "2s", "4s", "8s", "15s", "30s", "30s", "30s"}

func always(status int) func(string, int) int { return func(string, int) int { return status } }

// healthy answers 200; flaky refuses the first two arrivals of every third event; dead refuses all and is to be tried
// three times; switched is healthy and disabled along the way; stubborn refuses all until it is disabled.
var (
	healthy  = behavior{name: "healthy", schedule: patient, status: always(200), settles: []string{"delivered"}}
	switched = behavior{name: "switched", schedule: patient, status: always(200), settles: []string{"delivered", "held"}}
	stubborn = behavior{name: "stubborn", schedule: patient, status: always(503), settles: []string{"held"}}
	flaky    = behavior{name: "flaky", schedule: patient, settles: []string{"delivered"}, status: func(event string, number int) int {
		if event[len(event)-1]%3 == 0 && number <= 2 {
			return 503
		}
		return 200
	}}
	dead = behavior{name: "dead", schedule: []string{"1s", "1s"}, status: always(500), settles: []string{"exhausted"}}
)

// usual are the endpoints of most scenarios.
var usual = []behavior{healthy, flaky, dead}

// hostile are receivers that do what no receiver should.
var hostile = []behavior{
	hostileOne("hang", 0, func(_ http.ResponseWriter, ending <-chan struct{}) { <-ending }),
	hostileOne("reset", 0, hijack(func(c net.Conn, _ <-chan struct{}) {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	})),
	hostileOne("drip", 0, hijack(func(c net.Conn, ending <-chan struct{}) {
		trickle(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x", time.Second, ending)
	})),
	hostileOne("half-close", 0, hijack(func(c net.Conn, ending <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		linger(c, ending)
	})),
	hostileOne("1xx", 0, hijack(func(c net.Conn, ending <-chan struct{}) {
		trickle(c, "", "HTTP/1.1 103 Early Hints\r\n\r\n", 20*time.Millisecond, ending)
	})),
	hostileOne("redirect", 302, func(w http.ResponseWriter, _ <-chan struct{}) {
		w.Header().Set("Location", "/healthy")
		w.WriteHeader(http.StatusFound)
	}),
	hostileOne("huge", 200, func(w http.ResponseWriter, _ <-chan struct{}) {
		block := bytes.Repeat([]byte("x"), 64<<10)
		for range 256 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}),
	hostileOne("gzip-bomb", 200, func(w http.ResponseWriter, _ <-chan struct{}) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(len(bomb)))
		_, _ = w.Write(bomb)
	}),
}

// hostileOne is tried twice, two seconds each at most. Those that say 200 in the end may count as delivered.
func hostileOne(name string, status int, misbehave func(http.ResponseWriter, <-chan struct{})) behavior {
	settles := []string{"exhausted"}
	if status == 200 {
		settles = []string{"delivered"}
	}
	return behavior{
		name: name, schedule: []string{"1s"}, timeout: "2s", status: always(status), misbehave: misbehave, settles: settles,
	}
}

// bomb is 16 KiB on the wire and 16 MiB unpacked.
var bomb = func() []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(make([]byte, 16<<20)) // memory does not fail
	_ = z.Close()
	return out.Bytes()
}()

func hijack(do func(net.Conn, <-chan struct{})) func(http.ResponseWriter, <-chan struct{}) {
	return func(w http.ResponseWriter, ending <-chan struct{}) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		do(conn, ending)
	}
}

// trickle writes pieces until the other side has had enough.
func trickle(c net.Conn, first, piece string, every time.Duration, ending <-chan struct{}) {
	_, err := io.WriteString(c, first)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for err == nil {
		_, err = io.WriteString(c, piece)
		select {
		case <-ticker.C:
		case <-ending:
			return
		}
	}
}

// linger keeps the connection until the other side closes it.
func linger(c net.Conn, ending <-chan struct{}) {
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, c)
		close(closed)
	}()
	select {
	case <-closed:
	case <-ending:
	}
}
