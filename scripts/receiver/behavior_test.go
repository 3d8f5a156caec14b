package receiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// http1And2 are the wires that behaviors are tested on; those of frames have tests of their own.
var http1And2 = map[string]bool{"HTTP/1.1": false, "HTTP/2": true}

// onBoth tries a behavior by HTTP/1.1 and by HTTP/2, and counts the arrival even where no answer is given.
func onBoth(t *testing.T, b Behavior, try func(t *testing.T, two bool, c *http.Client, url string)) {
	t.Helper()
	for name, two := range http1And2 {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, two, Any, Always(b))
			try(t, two, newClient(t), r.URL()+"/hook")
			require.Equal(t, 1, r.Count())
		})
	}
}

func TestReply(t *testing.T) {
	t.Parallel()
	p := Reply{Status: 202, Header: map[string]string{"X-Shop": "7"}, Body: "thanks", After: 50 * time.Millisecond}
	onBoth(t, p.Behavior(), func(t *testing.T, _ bool, c *http.Client, url string) {
		began := time.Now()
		got, err := post(t.Context(), c, url, "x")
		require.NoError(t, err)
		require.Equal(t, []string{"7", "thanks"}, []string{got.header.Get("X-Shop"), string(got.body)})
		require.Equal(t, 202, got.status)
		require.GreaterOrEqual(t, time.Since(began), p.After)
	})
}

func TestSlow(t *testing.T) {
	t.Parallel()
	require.Equal(t, "answers 200 after 50ms", Slow(50*time.Millisecond).Does)
	onBoth(t, Slow(50*time.Millisecond), func(t *testing.T, _ bool, c *http.Client, url string) {
		began := time.Now()
		got, err := post(t.Context(), c, url, "x")
		require.NoError(t, err)
		require.Equal(t, 200, got.status)
		require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)
	})
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	onBoth(t, Redirect("/elsewhere"), func(t *testing.T, _ bool, c *http.Client, url string) {
		got, err := post(t.Context(), c, url, "x")
		require.NoError(t, err)
		require.Equal(t, 302, got.status)
		require.Equal(t, "/elsewhere", got.header.Get("Location"))
	})
}

// noAnswer sends with a timeout, and wants an error: with waits it is the timeout.
func noAnswer(waits bool) func(*testing.T, bool, *http.Client, string) {
	return func(t *testing.T, _ bool, c *http.Client, url string) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if !waits {
			ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		}
		defer cancel()
		_, err := post(ctx, c, url, "x")
		require.Error(t, err)
		require.Equal(t, waits, ctx.Err() != nil, "%v", err)
	}
}

func TestHang(t *testing.T)  { t.Parallel(); onBoth(t, Hang, noAnswer(true)) }
func TestDrip(t *testing.T)  { t.Parallel(); onBoth(t, Drip, noAnswer(true)) }
func TestClose(t *testing.T) { t.Parallel(); onBoth(t, Close, noAnswer(false)) }

func TestReset(t *testing.T) {
	t.Parallel()
	onBoth(t, Reset, func(t *testing.T, two bool, c *http.Client, url string) {
		_, err := post(t.Context(), c, url, "x")
		if two {
			require.ErrorContains(t, err, "INTERNAL_ERROR")
		} else {
			require.ErrorContains(t, err, "reset by peer")
		}
	})
}

func TestHalfClose(t *testing.T) {
	t.Parallel()
	onBoth(t, HalfClose, func(t *testing.T, two bool, c *http.Client, url string) {
		got, err := post(t.Context(), c, url, "x")
		require.Error(t, err)
		require.Equal(t, 200, got.status)
		require.Equal(t, "half", string(got.body))
		if !two {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
	})
}

func TestInformational(t *testing.T) {
	t.Parallel()
	onBoth(t, Informational, func(t *testing.T, _ bool, c *http.Client, url string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var early atomic.Int32
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
			if early.Add(1) == 3 {
				cancel()
			}
			return nil
		}})
		_, err := post(ctx, c, url, "x")
		require.ErrorIs(t, err, context.Canceled)
		require.EqualValues(t, 3, early.Load())
	})
}

func TestBigBody(t *testing.T) {
	t.Parallel()
	onBoth(t, BigBody(1<<20+7), func(t *testing.T, _ bool, c *http.Client, url string) {
		got, err := post(t.Context(), c, url, "x")
		require.NoError(t, err)
		require.Len(t, got.body, 1<<20+7)
	})
}

func TestGzipBomb(t *testing.T) {
	t.Parallel()
	onBoth(t, GzipBomb, func(t *testing.T, _ bool, c *http.Client, url string) {
		got, err := post(t.Context(), c, url, "x")
		require.NoError(t, err)
		require.Equal(t, "gzip", got.header.Get("Content-Encoding"))
		require.Less(t, len(got.body), 20<<10)
		z, err := gzip.NewReader(bytes.NewReader(got.body))
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, z)
		require.NoError(t, err)
		require.EqualValues(t, 16<<20, n)
	})
}

// The connection is closed when the next request comes. A sender that takes the request for idempotent sends it again, and
// both are counted.
func TestCloseReused(t *testing.T) {
	t.Parallel()
	r, c := start(t, false, Any, CloseReused), newClient(t)
	_, err := post(t.Context(), c, r.URL(), "first")
	require.NoError(t, err)
	_, err = post(t.Context(), c, r.URL(), "second")
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 2, r.Count())

	_, err = post(t.Context(), c, r.URL(), "third")
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL(), strings.NewReader("fourth"))
	require.NoError(t, err)
	req.Header.Set("Idempotency-Key", "7")
	_, err = do(c, req)
	require.NoError(t, err)
	require.Equal(t, 5, r.Count())
	require.Equal(t, 2, r.all()[4].Number)
}

// A sender that may send again after GOAWAY or REFUSED_STREAM does, and every request is counted.
func TestFrames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		b    Behavior
		says string
	}{
		"GOAWAY":         {GoAway, "GOAWAY"},
		"REFUSED_STREAM": {RefuseStream, "REFUSED_STREAM"},
		"status":         {Status(418), ""},
		"close":          {Close, "INTERNAL_ERROR"},
		"byHTTP":         {Drip, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, c := start(t, true, Frames, Always(test.b)), newClient(t)
			got, err := post(t.Context(), c, r.URL(), "x")
			if test.says != "" {
				require.ErrorContains(t, err, test.says)
			} else {
				require.NoError(t, err)
				require.Equal(t, map[string]int{"status": 418, "byHTTP": 501}[name], got.status)
			}
			require.Equal(t, 1, r.Count())
		})
	}
}

func TestFrames_SentAgain(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]Behavior{"GOAWAY": GoAway, "REFUSED_STREAM": RefuseStream} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, true, Frames, func(a *Arrival) Behavior {
				if a.Number < 3 {
					return b
				}
				return Accept
			})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL(), strings.NewReader("x"))
			require.NoError(t, err)
			_, err = do(newClient(t), req) // it has GetBody
			require.NoError(t, err)
			require.Equal(t, 3, r.Count())
		})
	}
}

// Behaviors of frames are none of receivers that do not speak them.
func TestFrames_NotByHTTP(t *testing.T) {
	t.Parallel()
	r := start(t, true, Any, Always(GoAway))
	got, err := post(t.Context(), newClient(t), r.URL(), "x")
	require.NoError(t, err)
	require.Equal(t, 501, got.status)
}

func TestAll(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, n := range All() {
		require.NotEmpty(t, n.Does, n.Name)
		require.NotEmpty(t, n.Answer(&Arrival{Number: 1, OnConn: 1}).Does, n.Name)
		require.False(t, names[n.Name], n.Name)
		names[n.Name] = true
	}
}
