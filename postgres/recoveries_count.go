package postgres

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

// Conditions of a recovery on a row d: wantedType takes the exact types, the beginnings as patterns of LIKE, and whether all types
// are wanted.
const (
	wantedType = `($%[1]d OR d.event_type = ANY ($%[2]d::text[]) OR d.event_type LIKE ANY ($%[3]d::text[]))`

	// unsentRange is read from the index deliveries_unsent_by_endpoint.
	unsentRange = `d.endpoint_id = $1 AND d.indexed_status IN ('exhausted', 'canceled') AND d.id > $2 AND d.id < uuid_floor($4::timestamptz + $5::bigint * interval '1 ms')`

	// wantedUnsent takes $3 to $10. A delivery whose event was removed or erased cannot be sent.
	wantedUnsent = `d.status = ANY ($6::text[]) AND d.created_at >= $3 AND d.created_at < $4 AND NOT d.test AND d.attempts < $7
		AND EXISTS (SELECT FROM events e WHERE e.id = d.event_key AND e.erased_at IS NULL)`
)

var (
	// countUnsent counts by event type, the most frequent first. looked counts also what is not wanted, and stops at $11.
	countUnsent = `
		SELECT event_type, wanted, sum(wanted) OVER ()::bigint AS matched, sum(looked) OVER ()::bigint AS looked FROM (
			SELECT d.event_type, count(*) FILTER (WHERE ` + wantedUnsent + ` AND ` + fmt.Sprintf(wantedType, 8, 9, 10) + `) AS wanted, count(*) AS looked
			FROM (SELECT * FROM deliveries d WHERE ` + unsentRange + ` ORDER BY d.id LIMIT $11) AS d GROUP BY d.event_type
		) AS by_type ORDER BY wanted DESC, event_type LIMIT $12`
)

// typeArgs are the arguments of wantedType.
func typeArgs(patterns []string) []any {
	all := len(patterns) == 0
	exact, begins := pq.StringArray{}, pq.StringArray{}
	for _, p := range patterns {
		group, wild := strings.CutSuffix(p, "*")
		switch {
		case p == "*":
			all = true
		case wild:
			begins = append(begins, likePattern.Replace(group)+"%")
		default:
			exact = append(exact, p)
		}
	}
	return []any{all, exact, begins}
}

var likePattern = strings.NewReplacer(`\`, `\\`, `_`, `\_`, `%`, `\%`)

// unsentArgs are $1 to $10 of a statement on what was not sent.
func unsentArgs(r *webhook.Recovery, after webhook.DeliveryID) []any {
	statuses := make(pq.StringArray, len(r.Statuses))
	for i, status := range r.Statuses {
		statuses[i] = string(status)
	}
	return append([]any{
		r.EndpointID, after, clampTime(r.Since), clampTime(r.Until), idSlack.Milliseconds(), statuses, webhook.MaxAttempts,
	}, typeArgs(r.EventTypes)...)
}

// CountRecovery implements store.Recoveries.
func (s *Store) CountRecovery(ctx context.Context, r *webhook.Recovery) (*store.RecoveryCount, error) {
	e, err := s.Endpoint(ctx, r.TenantID, r.EndpointID)
	if err != nil {
		return nil, err
	}
	out := &store.RecoveryCount{ByType: map[string]int64{}}
	if len(r.Statuses) > 0 {
		if err := s.countUnsent(ctx, r, out); err != nil {
			return nil, failed("count what was not sent", err)
		}
	}
	if r.Missed {
		if err := s.countMissed(ctx, r, e, out); err != nil {
			return nil, failed("count missed events", err)
		}
	}
	dropRareTypes(out.ByType)
	return out, nil
}

func (s *Store) countUnsent(ctx context.Context, r *webhook.Recovery, out *store.RecoveryCount) error {
	var rows []struct {
		EventType string `db:"event_type"`
		Wanted    int64  `db:"wanted"`
		Matched   int64  `db:"matched"`
		Looked    int64  `db:"looked"`
	}
	args := append(unsentArgs(r, idFloor(firstPosition(phaseSettled, r.Since))), webhook.MaxRecoveryEvents+1, webhook.MaxRecoveryTypes)
	if err := s.list(ctx, &rows, countUnsent, args...); err != nil {
		return err
	}
	for _, row := range rows {
		if row.Wanted > 0 {
			out.ByType[row.EventType] += row.Wanted
		}
	}
	if len(rows) > 0 {
		out.Matched += rows[0].Matched
		if rows[0].Looked > webhook.MaxRecoveryEvents {
			return looksThroughTooMuch("deliveries")
		}
	}
	return nil
}

// maxCountTime bounds a count over many statements.
const maxCountTime = 25 * time.Second

func (s *Store) countMissed(ctx context.Context, r *webhook.Recovery, e *webhook.Endpoint, out *store.RecoveryCount) error {
	ctx, cancel := context.WithTimeout(ctx, maxCountTime)
	defer cancel()
	look, err := s.search(ctx, s.db, r, e)
	if err != nil {
		return err
	}
	after := webhook.EventKey(idFloor(firstPosition(phaseMissed, r.Since)))
	for range webhook.MaxRecoveryEvents / missedLook {
		var over bool
		if after, over, err = s.countMissedPage(ctx, look, after, out); err != nil || over {
			return err
		}
	}
	return looksThroughTooMuch("events")
}

// countMissedPage counts in the database, unless an event's attributes must be looked at.
func (s *Store) countMissedPage(ctx context.Context, look *search, after webhook.EventKey, out *store.RecoveryCount) (next webhook.EventKey, over bool, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if len(look.endpoint.Filter) > 0 {
		page, err := look.find(ctx, s.db, after, missedLook)
		if err != nil {
			return next, false, err
		}
		for _, m := range page.found {
			out.ByType[m.EventType]++
		}
		out.Matched += int64(len(page.found))
		return page.last, page.over, nil
	}
	var rows []struct {
		EventType string `db:"event_type"`
		N         int64  `db:"n"`
	}
	args := look.args(after)
	if err := s.db.SelectContext(ctx, &rows, countMissed, args...); err != nil {
		return next, false, err
	}
	for _, row := range rows {
		out.ByType[row.EventType] += row.N
		out.Matched += row.N
	}
	return look.end(ctx, s.db, args)
}

// idFloor returns the least id of a moment, as uuid_floor does.
func idFloor(at time.Time) webhook.DeliveryID {
	return webhook.NewIDAt[webhook.DeliveryID]([16]byte{}, at)
}

func looksThroughTooMuch(what string) error {
	return webhook.NewInvalid("recovery", webhook.FieldError{Field: "since", Detail: fmt.Sprintf(
		"leaves more than %d %s to look through; choose a shorter span of time", webhook.MaxRecoveryEvents, what)})
}

func matchesTooMuch(matched int64) string {
	return fmt.Sprintf("matches %d deliveries, and one recovery sends at most %d; choose a shorter span of time", matched, webhook.MaxRecovery)
}

// dropRareTypes keeps the most frequent types, so that a tenant with a type for each event gets an answer that can be read.
func dropRareTypes(byType map[string]int64) {
	if len(byType) <= webhook.MaxRecoveryTypes {
		return
	}
	types := slices.SortedFunc(maps.Keys(byType), func(a, b string) int {
		return cmp.Or(cmp.Compare(byType[b], byType[a]), cmp.Compare(a, b))
	})
	for _, t := range types[webhook.MaxRecoveryTypes:] {
		delete(byType, t)
	}
}
