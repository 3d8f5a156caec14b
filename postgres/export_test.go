package postgres

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// WaitAccepting returns when n calls of Accept wait for the next transaction.
func WaitAccepting(t *testing.T, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.accepts.waitingRequests() == n }, 20*time.Second, time.Millisecond)
}

// WaitRecording returns when n calls of RecordAttempt wait for the next transaction.
func WaitRecording(t *testing.T, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.records.waitingRequests() == n }, 20*time.Second, time.Millisecond)
}

// ForgetBodies empties the body cache, as if another process had accepted the events.
func ForgetBodies(s *Store) { s.caches.bodies.InvalidateAll() }

// HotStatements are those that find rows; the others only add some.
var HotStatements = map[string]string{
	"record": recordAttempts, "sendings": selectSendings, "bodies": selectBodies, "senders": selectSenders, "receivers": selectReceivers,
	"claim": claimDispatches, "dispatches": selectDispatches, "deliveries": selectDispatchDeliveries, "delete dispatches": deleteDispatches,
	"count": countDispatches, "release": releaseDispatches, "versions": selectTenantVersions, "claimed ids": selectClaimedIDs, "receipts": selectReceipts,
	"generated": selectGenerated, "claim outbox": claimOutbox, "delete outbox": deleteOutbox, "quarantine outbox": quarantineOutbox,
}

// ReconcilerStatements are those that look for what stands still.
var ReconcilerStatements = map[string]string{
	"sweep": sweepDeliveries, "stalled": selectStalled, "count": countStalled, "recover": recoverForgotten, "unknown": selectUnknownEvents,
}

// FinishIndexes builds the missing indexes of partitions above small bytes concurrently.
func FinishIndexes(ctx context.Context, s *Store, small int64) error {
	return finishIndexes(ctx, s.db, s.opts.Schema, small)
}

var placeholder = regexp.MustCompile(`\$\d+`)

// ExplainGeneric returns the plan that a connection of the store makes for a query without knowing its arguments.
func ExplainGeneric(t *testing.T, s *Store, query string) string {
	t.Helper()
	conn, err := s.db.Connx(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), `SET plan_cache_mode = force_generic_plan`)
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), `PREPARE hot AS `+query)
	require.NoError(t, err)
	params := map[string]bool{}
	for _, p := range placeholder.FindAllString(query, -1) {
		params[p] = true
	}
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(params)), ", ")
	var plan []string
	require.NoError(t, conn.SelectContext(t.Context(), &plan, `EXPLAIN EXECUTE hot (`+nulls+`)`))
	_, err = conn.ExecContext(t.Context(), `DEALLOCATE hot`)
	require.NoError(t, err)
	return strings.Join(plan, "\n")
}
