package main

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo listens and sends back what it gets.
func echo(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l
}

// While a wire is cut nothing passes and nothing is closed, and afterwards all of it arrives, on connections old and new.
func TestWire(t *testing.T) {
	t.Parallel()
	ws, err := newWires(t.Context(), []string{echo(t).Addr().String()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.close()) })
	dial := func() net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ws.addresses())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	silent := func(c net.Conn) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		_, err := c.Read(make([]byte, 1))
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout(), err)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
	}
	hears := func(c net.Conn, text string) {
		got := make([]byte, len(text))
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
	}
	say := func(c net.Conn, text string) {
		_, err := io.WriteString(c, text)
		require.NoError(t, err)
	}
	old := dial()
	say(old, "before")
	hears(old, "before")
	ws.cut()
	passed := ws.passed()
	fresh := dial()
	say(old, "old")
	say(fresh, "fresh")
	silent(old)
	silent(fresh)
	require.Equal(t, passed, ws.passed())
	ws.mend()
	hears(old, "old")
	hears(fresh, "fresh")
	require.NoError(t, old.Close())
}
