package receiver

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
)

// Reset resets the connection. On HTTP/2 it resets the stream.
var Reset = byHTTP("resets the connection", 0, func(x *exchange) {
	x.hijack(func(conn net.Conn) {
		tcp := below(conn)
		if tcp, ok := tcp.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // where it cannot be set the connection is closed, which is as bad
		}
		_ = tcp.Close() // before TLS says goodbye
	})
})

// HalfClose sends half of an answer, closes its direction of the connection and waits for the sender to close the other.
// On HTTP/2 it resets the stream in the middle.
var HalfClose = byHTTP("sends half an answer and closes its half of the connection", 0, func(x *exchange) {
	const head, half = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "half"
	if x.req.ProtoMajor > 1 {
		x.w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(x.w, half) // a sender may leave
		_ = http.NewResponseController(x.w).Flush()
		x.abort()
	}
	x.hijack(func(conn net.Conn) {
		_, _ = io.WriteString(conn, head+half)
		if c, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
		if tcp, ok := below(conn).(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_, _ = io.Copy(io.Discard, conn) // until the other side closes it
	})
})

// hijack lends the connection of a request, and closes it afterwards, or when the receiver closes.
func (x *exchange) hijack(do func(net.Conn)) {
	h, ok := x.w.(http.Hijacker)
	if !ok {
		x.abort() // HTTP/2
		return
	}
	conn, _, err := h.Hijack()
	if err != nil {
		x.abort()
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(x.ending, func() { _ = conn.Close() })()
	do(conn)
}

// below returns the connection that TLS is spoken over, or else the connection itself.
func below(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}
