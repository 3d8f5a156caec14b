package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// RecordAttempt implements store.Attempts. Concurrent calls share a transaction.
func (s *Store) RecordAttempt(ctx context.Context, r *store.Record) (*store.Recorded, error) {
	return s.records.do(ctx, r)
}

// recordGroup records what was delivered first, with a statement that costs little, unless an attempt of the group failed. The
// statement for failures does everything, so it also takes the rest. Each statement is its own transaction, which saves two round
// trips. When its answer is lost and it runs again, it finds the deliveries already updated.
func (s *Store) recordGroup(ctx context.Context, in []*store.Record) ([]result[*store.Recorded], error) {
	results := make([]result[*store.Recorded], len(in))
	open := oncePerDelivery(in, results)
	delivered := func(i int) bool { return in[i].Status == webhook.StatusDelivered }
	statements := []func(context.Context, int, []*store.Record) ([]recordedRow, error){s.recordAny}
	if !slices.ContainsFunc(open, func(i int) bool { return !delivered(i) }) {
		statements = append([]func(context.Context, int, []*store.Record) ([]recordedRow, error){s.recordDelivered}, statements...)
	}
	for _, record := range statements {
		if len(open) == 0 {
			break
		}
		records := make([]*store.Record, len(open))
		for n, i := range open {
			records[n] = in[i]
		}
		err := s.writers.use(func(writer int) error {
			rows, err := record(ctx, writer, records)
			s.metrics.recorded(rows, queuedOf(records))
			open = takeRecorded(in, open, rows, results)
			return err
		})
		if err != nil {
			return nil, failed("record attempts", err)
		}
	}
	for _, i := range open {
		results[i].out, results[i].err = s.unrecorded(ctx, in[i])
	}
	return results, nil
}

// queuedOf returns the deliveries that an endpoint's queue attempted; nil: there is none.
func queuedOf(records []*store.Record) (queued map[webhook.DeliveryID]bool) {
	for _, r := range records {
		if !r.Queued {
			continue
		}
		if queued == nil {
			queued = map[webhook.DeliveryID]bool{}
		}
		queued[r.Attempt.DeliveryID] = true
	}
	return queued
}

// takeRecorded fills in the results of the records that were made, and returns the indexes of the others.
func takeRecorded(in []*store.Record, indexes []int, rows []recordedRow, results []result[*store.Recorded]) []int {
	byID := make(map[webhook.DeliveryID]*store.Recorded, len(rows))
	for i := range rows {
		byID[rows[i].ID] = rows[i].recorded()
	}
	return slices.DeleteFunc(indexes, func(i int) bool {
		results[i].out = byID[in[i].Attempt.DeliveryID]
		return results[i].out != nil
	})
}

// unrecorded returns the delivery of an attempt that changed nothing.
func (s *Store) unrecorded(ctx context.Context, r *store.Record) (*store.Recorded, error) {
	d, err := s.Delivery(ctx, r.TenantID, r.Attempt.DeliveryID)
	if err != nil {
		return nil, err
	}
	return &store.Recorded{Delivery: *d}, s.confirm(ctx)
}

// recordedRow is a delivery after the record, with its endpoint's streak where the attempt failed.
type recordedRow struct {
	deliveryRow
	// Was is the status before; "" where it was not delivered and now is.
	Was           webhook.Status `db:"was"`
	Failures      *int           `db:"streak_failures"`
	Since         *time.Time     `db:"streak_since"`
	LastFailureAt *time.Time     `db:"streak_last_failure_at"`
	// Told counts the operational events that were published.
	Told *int `db:"told"`
}

// settled reports whether the attempt settled the delivery.
func (r *recordedRow) settled() bool { return r.Status.Settled() && r.Status != r.Was }

func (r *recordedRow) recorded() *store.Recorded {
	out := &store.Recorded{Delivery: *r.delivery(), Settled: r.settled()}
	if r.Failures != nil {
		out.Streak = &webhook.Streak{Failures: *r.Failures, Since: r.Since, LastFailureAt: r.LastFailureAt}
	}
	return out
}

// oncePerDelivery returns the indexes of the records to write now, one of each delivery, in the order in which every
// transaction locks deliveries. The other records go into the next run.
func oncePerDelivery(in []*store.Record, results []result[*store.Recorded]) []int {
	indexes := make([]int, len(in))
	for i := range in {
		indexes[i] = i
	}
	slices.SortStableFunc(indexes, func(x, y int) int {
		a, b := in[x].Attempt, in[y].Attempt
		return cmp.Or(cmp.Compare(a.DeliveryID.UUID(), b.DeliveryID.UUID()), cmp.Compare(a.Number, b.Number))
	})
	first := indexes[:0]
	for _, i := range indexes {
		if len(first) > 0 && in[first[len(first)-1]].Attempt.DeliveryID == in[i].Attempt.DeliveryID {
			results[i].again = true
			continue
		}
		first = append(first, i)
	}
	return first
}
