package activities_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waybill/activities"
	"waybill/webhook"
)

// idempotent are headers that net/http takes for leave to send a request again.
var idempotent = []webhook.Header{{Name: "Idempotency-Key", Value: "k"}, {Name: "X-Idempotency-Key", Value: "k"}}

// A receiver that read a request may have acted on it, and what it says of HTTP/2 does not undo that: one attempt is one
// request, and its failure is told as what it is.
func TestTransport_Send_sendsOnceOverHTTP2(t *testing.T) {
	t.Parallel()
	goAway := func(last uint32, code http2.ErrCode) func(*http2.Framer, uint32) bool {
		return func(f *http2.Framer, _ uint32) bool {
			_ = f.WriteGoAway(last, code, []byte("REFUSED_STREAM"))
			return false
		}
	}
	reset := func(code http2.ErrCode) func(*http2.Framer, uint32) bool {
		return func(f *http2.Framer, stream uint32) bool { return f.WriteRSTStream(stream, code) == nil }
	}
	answer := func(fields ...hpack.HeaderField) func(*http2.Framer, uint32) bool {
		return func(f *http2.Framer, stream uint32) bool { return f.WriteHeaders(headersOf(stream, fields...)) == nil }
	}
	ok := hpack.HeaderField{Name: ":status", Value: "200"}
	for name, c := range map[string]struct {
		play func(*http2.Framer, uint32) bool
		text string
	}{
		"GOAWAY before the stream":            {goAway(0, http2.ErrCodeNo), "GOAWAY"},
		"GOAWAY before the stream, an error":  {goAway(0, http2.ErrCodeEnhanceYourCalm), "GOAWAY"},
		"GOAWAY after the stream, and closed": {goAway(1<<31-1, http2.ErrCodeNo), "GOAWAY"},
		"REFUSED_STREAM":                      {reset(http2.ErrCodeRefusedStream), "REFUSED_STREAM"},
		"PROTOCOL_ERROR":                      {reset(http2.ErrCodeProtocol), "broke the request off (HTTP/2 PROTOCOL_ERROR)"},
		"INTERNAL_ERROR":                      {reset(http2.ErrCodeInternal), "broke the request off (HTTP/2 INTERNAL_ERROR)"},
		"HTTP_1_1_REQUIRED":                   {reset(http2.ErrCodeHTTP11Required), "broke the request off (HTTP/2 HTTP_1_1_REQUIRED)"},
		"a close":                             {func(*http2.Framer, uint32) bool { return false }, "closed the connection"},
		"a header that is none":               {answer(ok, hpack.HeaderField{Name: "x bad", Value: "secret"}), `"x bad" is not a header name`},
		"a header whose value is none":        {answer(ok, hpack.HeaderField{Name: "x-bad", Value: "secret\x00"}), "the value of its header x-bad cannot be read"},
		"no status":                           {answer(hpack.HeaderField{Name: "x-a", Value: "b"}), "it has no status"},
	} {
		for kind, headers := range map[string][]webhook.Header{"": nil, ", idempotent": idempotent} {
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				s, arrivals := serveFrames(t, c.play)
				tr := newTransport(t, s)
				for n := range int32(3) {
					out := tr.Send(t.Context(), activities.Request{URL: s.URL, Body: []byte("{}"), Headers: headers, Timeout: 2 * bounded})
					require.Equal(t, webhook.ErrorProtocol, out.ErrorClass, out.Error)
					require.Contains(t, out.Error, c.text)
					require.NotContains(t, out.Error, "secret")
					require.Less(t, out.Duration, bounded, "nothing is waited for")
					require.Equal(t, n+1, arrivals.Load())
				}
			})
		}
	}
}

// serveFrames starts a receiver that misbehaves as HTTP/2: play answers each request, which was read to its end, and says
// whether the connection goes on. It counts the requests.
func serveFrames(t *testing.T, play func(f *http2.Framer, stream uint32) bool) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	arrivals := new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{NextProtos: []string{"h2"}}
	s.Config.ErrorLog = quiet
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			f := http2.NewFramer(conn, conn)
			if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil || f.WriteSettings() != nil {
				return
			}
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				d, ok := frame.(*http2.DataFrame)
				if !ok || !d.StreamEnded() {
					continue
				}
				arrivals.Add(1)
				if !play(f, d.StreamID) {
					_ = conn.CloseWrite()
					_, _ = io.Copy(io.Discard, conn) // the other side closes first, so that nothing is lost to a reset
					return
				}
			}
		},
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, arrivals
}

func headersOf(stream uint32, fields ...hpack.HeaderField) http2.HeadersFrameParam {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = e.WriteField(f)
	}
	return http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}
}

// A kept connection that the receiver closes when the next request arrives is the case in which net/http likes to send again.
func TestTransport_Send_sendsOnceOnAKeptConnection(t *testing.T) {
	t.Parallel()
	for name, headers := range map[string][]webhook.Header{
		"plain": nil, "idempotent": idempotent[:1], "idempotent too": idempotent[1:],
		"idempotent in lower case": {{Name: "idempotency-key", Value: "k"}},
	} {
		for kind, body := range map[string][]byte{"": []byte("{}"), ", no body": nil} {
			t.Run(name+kind, func(t *testing.T) {
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
				request := activities.Request{URL: url, Body: body, Headers: headers, Timeout: 2 * bounded}
				require.Equal(t, http.StatusNoContent, tr.Send(t.Context(), request).StatusCode)
				out := tr.Send(t.Context(), request)
				require.Equal(t, webhook.ErrorProtocol, out.ErrorClass)
				require.Equal(t, "the receiver closed the connection before its answer was complete", out.Error)
				require.EqualValues(t, 2, requests.Load())
				require.EqualValues(t, 1, conns.Load())
			})
		}
	}
}
