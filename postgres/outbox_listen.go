package postgres

import (
	"context"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

const (
	// outboxChannel is where publish() notifies, with the name of its schema.
	outboxChannel = "waybill_outbox"
	// Least and most time before a broken connection is made again.
	minReconnect, maxReconnect = 100 * time.Millisecond, 5 * time.Second
)

// ListenOutbox implements store.Outbox. It has a connection outside of the pool and reconnects when it breaks.
func (s *Store) ListenOutbox(ctx context.Context, wake func()) {
	l := pq.NewListener(listenURL(s.opts.URL), minReconnect, maxReconnect, nil)
	// Close waits for a connection that is being made, and the listener ends only when its notifications are read.
	defer func() {
		go func() {
			_ = l.Close()
			for range l.Notify { // drain what is left
			}
		}()
	}()
	go listenOn(ctx, l)
	for {
		select {
		case n := <-l.Notify:
			if n == nil || n.Extra == s.opts.Schema { // nil: notifications may have been lost
				wake()
			}
		case <-ctx.Done():
			return
		}
	}
}

// listenOn waits for the first connection. It tries again when a server refuses, for example a standby.
func listenOn(ctx context.Context, l *pq.Listener) {
	for l.Listen(outboxChannel) != nil {
		select {
		case <-time.After(maxReconnect):
		case <-ctx.Done():
			return
		}
	}
}

// listenURL adds to the URL, unless it has them, a connect timeout and that the server takes writes: a standby takes no LISTEN.
func listenURL(text string) string {
	text = withPorts(text)
	cfg, err := pq.NewConfig(text)
	if err != nil {
		return text
	}
	more := url.Values{}
	if cfg.ConnectTimeout <= 0 {
		more.Set("connect_timeout", strconv.Itoa(int(connectTimeout.Seconds())))
	}
	if cfg.TargetSessionAttrs == "" {
		more.Set("target_session_attrs", string(pq.TargetSessionAttrsReadWrite))
	}
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		for name := range more {
			text += " " + name + "=" + more.Get(name)
		}
		return text
	}
	q := u.Query()
	maps.Copy(q, more)
	u.RawQuery = q.Encode()
	return u.String()
}
