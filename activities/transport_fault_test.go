package activities_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// bounded is how long a failure with a timeout of 300 ms may take on a busy machine.
const bounded = 5 * time.Second

func TestTransport_Send_classifiesFailures(t *testing.T) {
	t.Parallel()
	write := func(text string) func(*net.TCPConn, *bufio.Reader) {
		return func(conn *net.TCPConn, _ *bufio.Reader) { _, _ = io.WriteString(conn, text) }
	}
	for name, c := range map[string]struct {
		play   func(conn *net.TCPConn, r *bufio.Reader)
		class  webhook.ErrorClass
		status int
		text   string
	}{
		"a reset": {class: webhook.ErrorProtocol, text: "closed the connection", play: func(conn *net.TCPConn, _ *bufio.Reader) {
			_ = conn.SetLinger(0)
		}},
		"a half-close without an answer": {class: webhook.ErrorProtocol, text: "closed the connection", play: func(conn *net.TCPConn, r *bufio.Reader) {
			_ = conn.CloseWrite()
			_, _ = r.ReadByte()
		}},
		"a header name with a bracket": {play: write("HTTP/1.1 200 OK\r\nX(Bad: s3cret\r\n\r\n"), class: webhook.ErrorProtocol, text: `"X(Bad" is not a header name`},
		"a long name of strange bytes": {play: write("HTTP/1.1 200 OK\r\n\xff\x01" + strings.Repeat("n", 100) + ": s3cret\r\n\r\n"), class: webhook.ErrorProtocol, text: `"?` + "?" + strings.Repeat("n", 38) + `" is not a header name`},
		"a header value with a NUL":    {play: write("HTTP/1.1 200 OK\r\nX-Bad: s3cret\x00\r\n\r\n"), class: webhook.ErrorProtocol, text: "the value of its header X-Bad cannot be read"},
		"a header line without colon":  {play: write("HTTP/1.1 200 OK\r\ns3cret\r\n\r\n"), class: webhook.ErrorProtocol, text: "a line of its headers has no colon"},
		"a status that is none":        {play: write("HTTP/1.1 2xx OK\r\n\r\n"), class: webhook.ErrorProtocol, text: "its status line cannot be read"},
		"a length that is none":        {play: write("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), class: webhook.ErrorProtocol, text: "its Content-Length is wrong"},
		"a strange encoding":           {play: write("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), class: webhook.ErrorProtocol, text: "Transfer-Encoding other than chunked"},
		"garbage":                      {play: write("I am no HTTP server\r\n\r\n"), class: webhook.ErrorProtocol, text: "its status line cannot be read"},
		"binary":                       {play: write("\x15\x03\x01\x00\x02\x02\x00"), class: webhook.ErrorProtocol},
		"two lengths":                  {play: write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), class: webhook.ErrorProtocol, text: "its Content-Length is wrong"},
		"a flood of 1xx": {class: webhook.ErrorProtocol, text: "64 KiB", play: func(conn *net.TCPConn, _ *bufio.Reader) {
			for {
				if _, err := io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"); err != nil {
					return
				}
			}
		}},
		"endless headers": {class: webhook.ErrorProtocol, text: "64 KiB", play: func(conn *net.TCPConn, _ *bufio.Reader) {
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			for i := 0; err == nil; i++ {
				_, err = fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("v", 1000))
			}
		}},
		"one endless header": {class: webhook.ErrorProtocol, text: "64 KiB", play: func(conn *net.TCPConn, _ *bufio.Reader) {
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Long: ")
			for err == nil {
				_, err = io.WriteString(conn, strings.Repeat("v", 1000))
			}
		}},
		"60 KiB of headers": {play: write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: " + strings.Repeat("v", 60<<10) + "\r\n\r\n"), status: 200},
		"70 KiB of headers": {
			play:  write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: " + strings.Repeat("v", 70<<10) + "\r\n\r\n"),
			class: webhook.ErrorProtocol, text: "64 KiB",
		},
		"headers that drip": {class: webhook.ErrorTimeout, play: func(conn *net.TCPConn, _ *bufio.Reader) {
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			drip(conn, err, "X: y\r\n")
		}},
		"a 200 whose body drips": {class: webhook.ErrorTimeout, status: 200, text: "within 2s", play: func(conn *net.TCPConn, _ *bufio.Reader) {
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
			drip(conn, err, "x")
		}},
		"a hang": {class: webhook.ErrorTimeout, text: "no complete answer within 300ms", play: func(_ *net.TCPConn, r *bufio.Reader) {
			_, _ = r.ReadByte()
		}},
		"a 200 that breaks off":           {play: write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"), class: webhook.ErrorProtocol, status: 200, text: "before its answer was complete"},
		"a 200 with a bad chunk":          {play: write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), class: webhook.ErrorProtocol, status: 200, text: "a chunk of its body cannot be read"},
		"a 500 that breaks off":           {play: write("HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nabc"), status: 500},
		"a protocol switch":               {play: write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), status: 101},
		"a body until the end":            {play: write("HTTP/1.0 200 OK\r\n\r\nabc"), status: 200},
		"a few 1xx before the answer":     {play: write("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), status: 204},
		"a status code that is none":      {play: write("HTTP/1.1 099 Whatever\r\nContent-Length: 0\r\n\r\n"), class: webhook.ErrorProtocol, text: "below 100"},
		"a status code of zeros":          {play: write("HTTP/1.1 000 Whatever\r\nContent-Length: 0\r\n\r\n"), class: webhook.ErrorProtocol, text: "below 100"},
		"an answer with an unknown class": {play: write("HTTP/1.1 799 Whatever\r\nContent-Length: 0\r\n\r\n"), status: 799},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := serveRaw(t, c.play)
			out := newTransport(t).Send(t.Context(), activities.Request{URL: url, Body: []byte("{}"), Timeout: timeoutFor(c.class, c.status)})
			require.Equal(t, c.class, out.ErrorClass, out.Error)
			require.Equal(t, c.status, out.StatusCode)
			require.Contains(t, out.Error, c.text)
			require.NotContains(t, out.Error, "127.0.0.1")
			require.NotContains(t, out.Error, "s3cret")
			require.Less(t, out.Duration, bounded)
		})
	}
}

// timeoutFor leaves failures that have nothing to do with time enough of it, and headers that come before a timeout.
func timeoutFor(class webhook.ErrorClass, status int) time.Duration {
	switch {
	case class != webhook.ErrorTimeout:
		return 2 * bounded
	case status != 0:
		return 2 * time.Second
	default:
		return 300 * time.Millisecond
	}
}

// drip writes a little again and again, until the other side is gone.
func drip(w io.Writer, err error, text string) {
	for err == nil {
		time.Sleep(20 * time.Millisecond)
		_, err = io.WriteString(w, text)
	}
}

func TestTransport_Send_cannotConnect(t *testing.T) {
	t.Parallel()
	const closedPort = "127.0.0.1:1" // a port that was given back may be another test's by then

	for name, c := range map[string]struct {
		url   string
		class webhook.ErrorClass
		text  string
	}{
		"a closed port":         {"http://user:s3cret@" + closedPort + "/s3cret?token=s3cret", webhook.ErrorConnect, "connection refused"},
		"a closed port and TLS": {"https://" + closedPort + "/?token=s3cret", webhook.ErrorConnect, "connection refused"},
		"a name that is none":   {"http://" + strings.Repeat("a", 64) + ".example/s3cret", webhook.ErrorDNS, "does not resolve"},
		"another scheme":        {"ftp://127.0.0.1/s3cret", webhook.ErrorBlocked, "http or https"},
		"no URL":                {"http://[::1/s3cret", webhook.ErrorBlocked, "http or https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := newTransport(t).Send(t.Context(), activities.Request{URL: c.url, Timeout: 2 * bounded})
			require.Equal(t, c.class, out.ErrorClass, out.Error)
			require.Contains(t, out.Error, c.text)
			require.NotContains(t, out.Error, "s3cret")
			require.NotContains(t, out.Error, "127.0.0.1")
			require.Less(t, out.Duration, bounded)
		})
	}
}

// A receiver that takes a request on a kept connection and hangs up may have acted on it: that is one failed attempt, not
// a reason to send the request again.
func TestTransport_Send_sendsOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	url, conns := serveRaw(t, func(conn *net.TCPConn, r *bufio.Reader) {
		requests.Add(1) // serveRaw has read the first
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		if readRequest(r) == nil {
			requests.Add(1)
		} // and close instead of an answer
	})
	tr := newTransport(t)
	request := activities.Request{URL: url, Body: []byte("{}"), Timeout: 2 * bounded}
	require.Equal(t, http.StatusNoContent, tr.Send(t.Context(), request).StatusCode)
	require.Equal(t, webhook.ErrorProtocol, tr.Send(t.Context(), request).ErrorClass)
	require.EqualValues(t, 2, requests.Load())
	require.EqualValues(t, 1, conns.Load())
}
