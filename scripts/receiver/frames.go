package receiver

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framesWindow is how many bytes a sender may have on their way on a stream: a webhook always fits.
const framesWindow = maxBody

// GoAway reads the request and answers with GOAWAY, last stream 0: none of the connection's requests was processed, says
// the receiver. RFC 9113, section 6.8, lets a sender then send them again.
var GoAway = byFrames("answers GOAWAY with last stream 0", func(s *stream) {
	s.conn.write(func(f *http2.Framer) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) })
})

// RefuseStream reads the request and answers REFUSED_STREAM, which by RFC 9113, section 8.7, says that it was not
// processed.
var RefuseStream = byFrames("answers REFUSED_STREAM", func(s *stream) { s.reset(http2.ErrCodeRefusedStream) })

const internalError = http2.ErrCodeInternal

// byFrames is a behavior of receivers that speak frames; the others answer 501.
func byFrames(does string, act func(*stream)) Behavior {
	return Behavior{Does: does, act: func(x *exchange) {
		if x.stream == nil {
			x.w.WriteHeader(http.StatusNotImplemented)
			return
		}
		act(x.stream)
	}}
}

// frameConn is a connection of a receiver that speaks frames.
type frameConn struct {
	receiver *Receiver
	conn     *tls.Conn
	framer   *http2.Framer
	requests int

	mu      sync.Mutex         // of what follows, and of writing
	streams map[uint32]*stream // that are not answered
	out     *hpack.Encoder
	block   headerBlock
}

// headerBlock is what the encoder has written last.
type headerBlock []byte

func (b *headerBlock) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// stream is one request.
type stream struct {
	conn    *frameConn
	id      uint32
	arrival *Arrival
	gone    chan struct{} // closed when the sender has given it up
}

// serveFrames serves a connection whose TLS has agreed upon HTTP/2, until either side closes it.
func (r *Receiver) serveFrames(_ *http.Server, conn *tls.Conn, _ http.Handler) {
	if !r.begin() {
		return
	}
	defer r.working.Done()
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(r.ending, func() { _ = conn.Close() })()
	c := &frameConn{receiver: r, conn: conn, streams: map[uint32]*stream{}, framer: http2.NewFramer(conn, conn)}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.out = hpack.NewEncoder(&c.block)
	if _, err := io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	c.write(func(f *http2.Framer) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: framesWindow})
	})
	c.write(func(f *http2.Framer) error { return f.WriteWindowUpdate(0, 1<<30) })
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil || !c.take(frame) {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.streams {
		close(s.gone)
	}
}

// find returns a stream that is not answered, and forgets it if it is to end.
func (c *frameConn) find(id uint32, ends bool) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	if ends {
		delete(c.streams, id)
	}
	return s
}

// take heeds a frame, and reports whether the connection goes on.
func (c *frameConn) take(frame http2.Frame) bool {
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.write((*http2.Framer).WriteSettingsAck)
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.write(func(out *http2.Framer) error { return out.WritePing(true, f.Data) })
		}
	case *http2.MetaHeadersFrame:
		c.begin(f)
	case *http2.DataFrame:
		s := c.find(f.StreamID, false)
		if s == nil {
			return true
		}
		s.arrival.Body = append(s.arrival.Body, f.Data()...)
		if len(s.arrival.Body) > maxBody {
			return false
		}
		if f.StreamEnded() {
			s.arrive()
		}
	case *http2.RSTStreamFrame:
		if s := c.find(f.StreamID, true); s != nil {
			close(s.gone)
		}
	case *http2.GoAwayFrame:
		return false
	}
	return true
}

// begin takes the head of a request.
func (c *frameConn) begin(f *http2.MetaHeadersFrame) {
	c.requests++
	s := &stream{conn: c, id: f.StreamID, gone: make(chan struct{}), arrival: &Arrival{
		Method: f.PseudoValue("method"), Path: f.PseudoValue("path"), Proto: "HTTP/2.0", Header: http.Header{}, OnConn: c.requests,
	}}
	for _, field := range f.RegularFields() {
		s.arrival.Header.Add(field.Name, field.Value)
	}
	c.mu.Lock()
	c.streams[s.id] = s
	c.mu.Unlock()
	if f.StreamEnded() {
		s.arrive()
	}
}

// arrive behaves as is chosen for a request that is whole. What waits or hangs must not keep the connection from reading.
func (s *stream) arrive() {
	r := s.conn.receiver
	if !r.begin() {
		return
	}
	s.arrival.At = time.Now()
	go func() {
		defer r.working.Done()
		r.arrive(s.arrival, &exchange{stream: s, ending: r.ending})
		s.conn.find(s.id, true)
	}()
}

func (s *stream) answer(status int) {
	s.conn.write(func(f *http2.Framer) error {
		s.conn.block = s.conn.block[:0]
		err := s.conn.out.WriteField(hpack.HeaderField{Name: ":status", Value: strconv.Itoa(status)})
		if err != nil {
			return err
		}
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: s.conn.block, EndStream: true, EndHeaders: true})
	})
}

func (s *stream) reset(code http2.ErrCode) {
	s.conn.write(func(f *http2.Framer) error { return f.WriteRSTStream(s.id, code) })
}

// write writes a frame. An error ends the connection, which its reader notices.
func (c *frameConn) write(do func(*http2.Framer) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if do(c.framer) != nil {
		_ = c.conn.Close()
	}
}
