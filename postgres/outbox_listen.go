package postgres

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

const (
	// outboxChannel is where publish() notifies, with the name of its schema.
	outboxChannel = "waybill_outbox"
	// A connection that breaks is made anew after the first, and up to the second.
	minReconnect, maxReconnect = 100 * time.Millisecond, 5 * time.Second
)

// ListenOutbox implements store.Outbox. It has a connection of its own, beside the pool, and makes it anew when it breaks.
func (s *Store) ListenOutbox(ctx context.Context, wake func()) {
	l := pq.NewListener(listenURL(s.opts.URL), minReconnect, maxReconnect, nil)
	// Close waits for a connection that is being made, and the listener ends only when nobody holds it up.
	defer func() {
		go func() {
			_ = l.Close()
			for range l.Notify { // nobody wants them any more
			}
		}()
	}()
	go listenOn(ctx, l)
	for {
		select {
		case n := <-l.Notify:
			if n == nil || n.Extra == s.opts.Schema { // nil: there was a gap
				wake()
			}
		case <-ctx.Done():
			return
		}
	}
}

// listenOn waits for the first connection. A server that refuses, such as a standby, is asked again.
func listenOn(ctx context.Context, l *pq.Listener) {
	for l.Listen(outboxChannel) != nil {
		select {
		case <-time.After(maxReconnect):
		case <-ctx.Done():
			return
		}
	}
}

// listenURL bounds how long a connection may take to be made, unless the URL says so itself.
func listenURL(text string) string {
	cfg, err := pq.NewConfig(text)
	if err != nil || cfg.ConnectTimeout > 0 {
		return text
	}
	seconds := strconv.Itoa(int(connectTimeout.Seconds()))
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return text + " connect_timeout=" + seconds
	}
	q := u.Query()
	q.Set("connect_timeout", seconds)
	u.RawQuery = q.Encode()
	return u.String()
}
