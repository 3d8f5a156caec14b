package postgres

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// WaitAccepting returns when n calls of Accept wait for the next transaction.
func WaitAccepting(t testing.TB, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.accepts.waitingRequests() == n }, 20*time.Second, time.Millisecond)
}

// WaitRecording returns when n calls of RecordAttempt wait for the next transaction.
func WaitRecording(t testing.TB, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.records.waitingRequests() == n }, 20*time.Second, time.Millisecond)
}

// ForgetBodies empties the body cache, as if another process had accepted the events.
func ForgetBodies(s *Store) { s.caches.bodies.InvalidateAll() }

// SendingRun makes one run of the calls of Sending, and returns those that were served and how many wait for the next run.
func SendingRun(t testing.TB, s *Store, in []store.Target) (served []*store.Sending, again int) {
	t.Helper()
	results, err := s.sendingGroup(t.Context(), in)
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, r.err)
		if r.again {
			again++
			continue
		}
		served = append(served, r.out)
	}
	return served, again
}

// AcceptRun makes one run of the calls of Accept, and returns their errors.
func AcceptRun(t testing.TB, s *Store, in []*webhook.Publication) []error {
	t.Helper()
	results, err := s.acceptGroup(t.Context(), in)
	require.NoError(t, err)
	errs := make([]error, len(results))
	for i, r := range results {
		errs[i] = r.err
	}
	return errs
}

// HotStatements are those that find rows; the others only add some.
var HotStatements = map[string]string{
	"failing": selectFailing, "record delivered": recordDelivered, "record": recordAny, "record and tell": recordAnyTelling, "sendings": selectSendings, "bodies": selectBodies, "senders": selectSenders, "receivers": selectReceivers,
	"waiting tenants": selectWaitingTenants, "count by tenant": countDispatchesByTenant,
	"claim": claimDispatches, "unclaim": unclaimDispatches, "dispatches": selectDispatches, "deliveries": selectDispatchDeliveries, "delete dispatches": deleteDispatches,
	"count": countDispatches, "set aside": selectSetAside, "count set aside": countSetAside, "release": releaseDispatches, "versions": selectTenantVersions, "insert at once": insertEventsAtOnce, "claimed ids": selectClaimedIDs, "receipts": selectReceipts,
	"generated": selectGenerated, "outbox tenants": selectOutboxTenants, "claim outbox": claimOutbox, "claim outbox row": claimOutboxRow, "delete outbox": deleteOutbox, "quarantine outbox": quarantineOutbox, "trim": trimQuarantine,
	"delivery": selectDelivery, "cancel": cancelDelivery, "hold": holdDelivery,
	"to reopen": selectToReopen, "reopen": reopenDelivery, "hasten": hastenDelivery, "release queued": releaseQueued, "postpone queued": postponeQueued, "renew queued": renewQueued,
	"event's deliveries": selectEventDeliveries, "owners": selectOwners, "attempts": selectAttempts, "attempt": selectAttempt,
	"recorded attempt": selectRecordedAttempts, "progress": selectProgress,
	"advance a recovery": advanceUnsent, "withdraw": withdrawDeliveries, "missed": selectMissed, "end of missed": selectMissedEnd,
}

// ListQuery returns the query of a list of deliveries of the tenant acme, and its arguments.
func ListQuery(f store.DeliveryFilter) (string, []any) {
	var after webhook.DeliveryID
	_ = after.UnmarshalText([]byte(f.Page.After))
	var key webhook.EventKey
	_ = key.UnmarshalText([]byte(f.EventID))
	return listQuery("acme", key, f, nil, after)
}

// EventsQuery returns the query of a list of events of the tenant acme, and its arguments.
func EventsQuery(f store.EventFilter) (string, []any) {
	var after webhook.EventKey
	_ = after.UnmarshalText([]byte(f.Page.After))
	return eventsQuery("acme", f, after)
}

// StatsQuery returns the query of the statistics of an endpoint of acme, or of acme, and its arguments.
func StatsQuery(endpoint webhook.EndpointID, since time.Time) (string, []any) {
	span := (6 * time.Hour).Milliseconds()
	if endpoint.IsZero() {
		return selectTenantStats, []any{"acme", since, span}
	}
	return selectEndpointStats, []any{"acme", idsOf([]webhook.EndpointID{endpoint}), since, span}
}

// EndpointStatsQuery returns the query of the statistics of a page of acme's endpoints, and its arguments.
func EndpointStatsQuery(endpoints []webhook.EndpointID, since time.Time) (string, []any) {
	return selectStatsOfEndpoints, []any{"acme", idsOf(endpoints), since, time.Hour.Milliseconds()}
}

// UnsettledQuery returns the query that counts what is not settled of an endpoint of acme, or of acme, and its arguments.
func UnsettledQuery(endpoint webhook.EndpointID) (string, []any) {
	if endpoint.IsZero() {
		return selectUnsettled, []any{"acme"}
	}
	return selectUnsettledOfEndpoints, []any{"acme", idsOf([]webhook.EndpointID{endpoint}), countedMost}
}

// StatsStatements are those that add up statistics.
var StatsStatements = map[string]string{
	"written": compactWritten, "minutes": compactMinutes, "tenants": compactTenants, "forget": forgetHours,
}

// SelectWaiting is the statement that counts what waits.
const SelectWaiting = selectWaiting

// Searched is how many rows a list looks at in one call.
const Searched = searched

// CancelOfDeletedQuery returns the statement that cancels what waits for a deleted endpoint of acme, and its arguments.
func CancelOfDeletedQuery(endpoint webhook.EndpointID, limit int) (string, []any) {
	return cancelDeliveriesOfDeleted, []any{7, endpoint.UUID(), "acme", "deleted", time.Now(), limit}
}

// TrimQuery returns the statement that trims the quarantine to so many rows, one at a time, and its arguments.
func TrimQuery(rows int) (string, []any) {
	return trimQuarantine, []any{rows, defaultQuarantineBytes, defaultQuarantineAge.Milliseconds(), 1}
}

// RecordQuery returns the statement that records attempts that were delivered, and its arguments.
func RecordQuery(records ...*store.Record) (string, []any) {
	var rows newAttempts
	for _, r := range records {
		rows.add(r)
	}
	return recordDelivered, rows.args(7)
}

// RecordAnyQuery returns the statement that records attempts of any outcome, and its arguments.
func RecordAnyQuery(r *store.Record) (string, []any) {
	var rows newAttempts
	rows.add(r)
	rows.addOutcome(r)
	return recordAny, append(rows.args(7), rows.outcomeArgs()...)
}

// RecordRun makes one run of the calls of RecordAttempt.
func RecordRun(t testing.TB, s *Store, in []*store.Record) []*store.Recorded {
	t.Helper()
	results, err := s.recordGroup(t.Context(), in)
	require.NoError(t, err)
	out := make([]*store.Recorded, len(results))
	for i, r := range results {
		require.NoError(t, r.err)
		out[i] = r.out
	}
	return out
}

// WALPosition returns where the log of the database is written next, in bytes.
func WALPosition(t testing.TB, s *Store) int {
	t.Helper()
	var at int
	require.NoError(t, s.get(t.Context(), &at, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')`))
	return at
}

// PlanNode is a step of a plan that was executed.
type PlanNode struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	// Loops is 0 where the step was never executed.
	Loops float64    `json:"Actual Loops"`
	Hit   int        `json:"Shared Hit Blocks"`
	Read  int        `json:"Shared Read Blocks"`
	Plans []PlanNode `json:"Plans"`
}

// Buffers returns how many pages a query reads, by the plan that is made for any arguments.
func Buffers(t testing.TB, s *Store, query string, args []any) int {
	t.Helper()
	plan := executed(t, s, query, args, "COMMIT")
	return plan.Hit + plan.Read
}

// Tried is the plan of a query that was executed, by the plan that is made for any arguments, and rolled back.
func Tried(t testing.TB, s *Store, query string, args []any) PlanNode {
	t.Helper()
	return executed(t, s, query, args, "ROLLBACK")
}

func executed(t testing.TB, s *Store, query string, args []any, end string) PlanNode {
	t.Helper()
	literals := make([]string, len(args))
	for i, arg := range args {
		value, err := driver.DefaultParameterConverter.ConvertValue(arg)
		require.NoError(t, err)
		if at, ok := value.(time.Time); ok {
			value = at.Format(time.RFC3339Nano)
		}
		if literals[i] = "NULL"; value != nil {
			literals[i] = pq.QuoteLiteral(fmt.Sprint(value))
		}
	}
	conn, err := s.db.Connx(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), `PREPARE measured AS `+query)
	require.NoError(t, err)
	var out []string
	_, err = conn.ExecContext(t.Context(), "BEGIN")
	require.NoError(t, err)
	call := strings.Replace(`(`+strings.Join(literals, ", ")+`)`, "()", "", 1)
	err = conn.SelectContext(t.Context(), &out, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE measured `+call)
	require.NoError(t, err, query)
	_, err = conn.ExecContext(t.Context(), end)
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), `DEALLOCATE measured`)
	require.NoError(t, err)
	var plans []struct{ Plan PlanNode }
	require.NoError(t, json.Unmarshal([]byte(strings.Join(out, "\n")), &plans))
	return plans[0].Plan
}

// ReconcilerStatements are those that look for stalled deliveries.
var ReconcilerStatements = map[string]string{
	"sweep": sweepDeliveries, "stalled": selectStalled, "count": countStalled, "unknown": selectUnknownEvents,
}

// QueueStatements are those of the endpoint queues.
var QueueStatements = map[string]string{
	"claim": claimQueued, "hold": holdQueued, "state": selectQueueState, "overdue": overdueQueues, "adopt": adoptHeld, "expire": expireHeld,
	"of deleted": cancelDeliveriesOfDeleted, "to wake": selectQueuesToWake, "woken": queueWoken, "queue": queueDeliveries,
}

// LogStatements are others that read the log: those of people, of upkeep and of erasures.
var LogStatements = map[string]string{
	"attempts of deliveries": selectAttemptsOf, "test secret": setTestSecret, "retry a dispatch": retryDispatch, "lost dispatches": forgetLostDispatches,
	"waiting": selectWaiting, "trouble": selectTrouble, "unsettled": selectUnsettled, "unsettled of endpoints": selectUnsettledOfEndpoints,
	"recovery": selectRecovery, "recoveries": selectRecoveries, "end of a recovery": finishRecovery, "unattempted": selectUnattempted,
	"count of a recovery": countUnsent, "count of missed": countMissed,
	"keys of a month": deleteKeys, "bodies due": eraseBodies, "count bodies": countBodies, "deleted endpoints": expiredEndpoints,
	"events of the default": expiredEvents, "attempts of the default": expiredAttempts,
	"erase an event": eraseEvent, "cancel of an erased event": cancelErased, "answers of an erased event": eraseAnswers,
	"deliveries of an erased tenant": lockDeliveriesOf, "events of an erased tenant": lockEventsOf,
	"erase attempts": erasedWithDeliveries[0], "erase deliveries": erasedWithDeliveries[1], "erase events": erasedWithEvents[2],
	"mentions of an erased tenant": selectMentions, "deliveries astray": dispatchDeliveriesAnywhere,
}

// ClaimQuery returns the statement that claims what an endpoint of acme has queued, and its arguments.
func ClaimQuery(endpoint webhook.EndpointID, limit int) (string, []any) {
	return claimQueued, []any{endpoint.UUID(), "acme", "019b0000-0000-7000-8000-000000000000", 60_000, limit}
}

// HoldQueuedQuery returns the statement that holds what a disabled endpoint of acme has queued, and its arguments.
func HoldQueuedQuery(endpoint webhook.EndpointID, limit int) (string, []any) {
	return holdQueued, []any{endpoint.UUID(), "acme", time.Now(), limit}
}

// OverdueQuery returns the statement that lists overdue queues, and its arguments.
func OverdueQuery(limit int) (string, []any) {
	return overdueQueues, []any{60_000, webhook.EndpointID{}.UUID(), limit}
}

// AdoptQuery returns the statement that adopts what no queue owns, and its arguments.
func AdoptQuery(limit int) (string, []any) { return adoptHeld, []any{limit} }

// FinishIndexes builds the missing indexes of partitions above small bytes concurrently.
func FinishIndexes(ctx context.Context, s *Store, small int64) error {
	return finishIndexes(ctx, s.db, s.opts.Schema, small)
}

var placeholder = regexp.MustCompile(`\$\d+`)

// ExplainGeneric returns the plan that a connection of the store makes for a query without knowing its arguments.
func ExplainGeneric(t testing.TB, s *Store, query string) string {
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
	nulls := strings.Replace("("+strings.TrimSuffix(strings.Repeat("NULL, ", len(params)), ", ")+")", "()", "", 1)
	var plan []string
	require.NoError(t, conn.SelectContext(t.Context(), &plan, `EXPLAIN EXECUTE hot `+nulls))
	_, err = conn.ExecContext(t.Context(), `DEALLOCATE hot`)
	require.NoError(t, err)
	return strings.Join(plan, "\n")
}

// Backend returns the process of the server that serves one of the store's connections.
func Backend(t testing.TB, s *Store) (pid int) {
	t.Helper()
	require.NoError(t, s.db.Get(&pid, `SELECT pg_backend_pid()`))
	return pid
}

// SetForSession changes a setting of one of the store's connections.
func SetForSession(t testing.TB, s *Store, name, value string) {
	t.Helper()
	_, err := s.db.Exec(`SELECT set_config($1, $2, false)`, name, value)
	require.NoError(t, err)
}

// Setting returns a setting of the server as a connection of the store has it.
func Setting(t testing.TB, s *Store, name string) string {
	t.Helper()
	var value string
	require.NoError(t, s.get(t.Context(), &value, `SELECT current_setting($1)`, name))
	return value
}

// CountQuery, AdvanceQuery and UnattemptedQuery are statements of recoveries.
func CountQuery(r *webhook.Recovery) (string, []any) {
	return countUnsent, append(unsentArgs(r, webhook.DeliveryID{}), webhook.MaxRecoveryEvents, webhook.MaxRecoveryTypes)
}

// AdvanceQuery moves a page of limit deliveries.
func AdvanceQuery(r *webhook.Recovery, limit int) (string, []any) {
	return advanceUnsent, append(unsentArgs(r, webhook.DeliveryID{}), limit, unsentLook, r.ID)
}

// SealedColumns are the columns, each as table.column, whose values are sealed.
func SealedColumns() []string {
	var names []string
	for _, c := range sealedColumns {
		names = append(names, c.String())
	}
	return names
}

// Seal seals a text for a column, as table.column, and a row.
func Seal(s *Store, column, row, text string) []byte {
	return s.keys.seal([]byte(text), location{column, row})
}

// UnattemptedQuery looks for what a recovery waits for.
const UnattemptedQuery = selectUnattempted

// The statements of store.Watch.
const (
	SelectTrouble      = selectTrouble
	SelectWorstStreaks = selectWorstStreaks
)
