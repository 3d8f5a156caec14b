package postgres

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// WaitAccepting returns when n calls of Accept wait for the next transaction.
func WaitAccepting(t *testing.T, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.accepts.waitingCalls() == n }, 20*time.Second, time.Millisecond)
}

// WaitRecording returns when n calls of RecordAttempt wait for the next transaction.
func WaitRecording(t *testing.T, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.records.waitingCalls() == n }, 20*time.Second, time.Millisecond)
}

// ForgetBodies empties the body cache, as if another process had accepted the events.
func ForgetBodies(s *Store) { s.caches.bodies.InvalidateAll() }
