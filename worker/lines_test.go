package worker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// Events that come to wait for another endpoint keep the turns that they have waited for, among themselves and among those there.
func TestLines_move(t *testing.T) {
	t.Parallel()
	from, to := webhook.NewID[webhook.EndpointID]([16]byte{1}), webhook.NewID[webhook.EndpointID]([16]byte{2})
	open := false
	l := newLines(1, func(*lines, *waiter) *webhook.EndpointID {
		if open {
			return nil
		}
		return &to
	})
	for _, one := range []struct {
		event string
		at    webhook.EndpointID
	}{{"a", from}, {"b", to}, {"c", from}, {"d", from}, {"e", to}} {
		l.line(one.at, &waiter{event: store.Dispatch{EventID: one.event}})
	}
	l.advance(from)
	require.Empty(t, l.lined[from])
	open = true
	l.advance(to)
	var order string
	for range 5 {
		e, _ := l.next()
		order += e.EventID
	}
	require.Equal(t, "abcde", order)
}
