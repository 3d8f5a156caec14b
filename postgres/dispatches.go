package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

const (
	// waitingTenants goes from tenant to tenant in the index, whatever waits of each.
	waitingTenants = `
		WITH RECURSIVE waiting AS (
			(SELECT tenant_id FROM dispatches WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1)
			UNION ALL
			SELECT n.tenant_id FROM waiting w
				CROSS JOIN LATERAL (SELECT tenant_id FROM dispatches WHERE tenant_id > w.tenant_id ORDER BY tenant_id LIMIT 1) AS n
		) `

	selectWaitingTenants = waitingTenants + `SELECT tenant_id FROM waiting LIMIT $2`

	selectExpressTenants = `SELECT id FROM tenants WHERE id = ANY ($1::text[]) AND express`

	// claimDispatches skips rows that another process is claiming at this moment. The subquery is evaluated only once,
	// whatever plan is chosen for the update.
	claimDispatches = `
		WITH due AS MATERIALIZED (
			SELECT d.event_key, d.lease_until AS since FROM unnest($3::text[]) WITH ORDINALITY AS t (tenant_id, turn) CROSS JOIN LATERAL (
				SELECT event_key, lease_until FROM dispatches WHERE tenant_id = t.tenant_id AND lease_until <= now()
				ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED
			) AS d LIMIT $1
		)
		UPDATE dispatches SET lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond'
		FROM due WHERE dispatches.event_key = due.event_key
		RETURNING dispatches.event_key, dispatches.tenant_id, dispatches.tries, due.since`

	// unclaimDispatches gives what was claimed back, at its place among what waits.
	unclaimDispatches = `
		UPDATE dispatches d SET lease_until = c.since FROM unnest($1::uuid[], $2::timestamptz[]) AS c (event_key, since) WHERE d.event_key = c.event_key`

	selectDispatches = `
		SELECT e.id, e.tenant_id, e.event_id, e.event_type, t.dialect, t.retry, t.express,
			coalesce(e.traceparent, '') AS traceparent
		FROM unnest($1::uuid[]) AS claimed (event_key) JOIN events e ON e.id = claimed.event_key JOIN tenants t ON t.id = e.tenant_id
		ORDER BY e.id`

	// selectDispatchDeliveries looks where the deliveries of an event should be, and dispatchDeliveriesAnywhere into every month. The first
	// stops at $2 deliveries, of any of the events; null: it reads all.
	selectDispatchDeliveries = claimedBegin + `JOIN ` + storedEvents + ` ON stored.key = claimed.key` + deliveriesOfStored + ` LIMIT $2::bigint` + claimedEnd

	dispatchDeliveriesAnywhere = claimedBegin + `JOIN deliveries d ON d.event_key = claimed.key` + claimedEnd

	claimedBegin = `
		WITH d AS MATERIALIZED (
			SELECT d.event_key, d.id, d.endpoint_id FROM unnest($1::uuid[]) AS claimed (key) `
	claimedEnd = `
		)
		SELECT d.event_key, d.id, d.endpoint_id, e.retry FROM d JOIN endpoints e ON e.id = d.endpoint_id ORDER BY d.id`

	// countDispatches stops counting at $1, because more makes no difference. It is ordered because the alternative, a
	// bitmap, would first read the whole table.
	countDispatches = `SELECT count(*) FROM (SELECT FROM dispatches ORDER BY event_key LIMIT $1) AS waiting`

	// countDispatchesByTenant stops counting each tenant's at $2, so that nobody's go uncounted because another has many. It returns the $3
	// that have most.
	countDispatchesByTenant = waitingTenants + `
		SELECT tenant_id, n, sum(n) OVER ()::bigint AS of_all FROM waiting CROSS JOIN LATERAL (
			SELECT count(*) AS n FROM (SELECT FROM dispatches d WHERE d.tenant_id = waiting.tenant_id ORDER BY d.lease_until LIMIT $2) AS theirs
		) AS counted ORDER BY n DESC LIMIT $3`

	deleteDispatches  = `DELETE FROM dispatches WHERE event_key = ANY ($1::uuid[])`
	releaseDispatches = `
		UPDATE dispatches d SET
			lease_until = CASE WHEN r.set_aside THEN 'infinity' ELSE clock_timestamp() + r.after * interval '1 millisecond' END,
			set_aside_at = CASE WHEN r.set_aside THEN clock_timestamp() END,
			tries = d.tries + CASE WHEN r.error = '' THEN 0 ELSE 1 END, error = CASE WHEN r.error = '' THEN d.error ELSE r.error END
		FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[]) AS r (event_key, after, error, set_aside)
		WHERE d.event_key = r.event_key`
)

// claimedTenants is how many tenants one claim looks at. Most of them may have nothing that is due.
const claimedTenants = 128

// ClaimDispatches implements store.Dispatches.
func (s *Store) ClaimDispatches(ctx context.Context, c store.DispatchClaim) (out []store.Dispatch, last string, err error) {
	if c.Limit <= 0 {
		return nil, "", nil
	}
	queries := []string{selectWaitingTenants, claimDispatches, unclaimDispatches, selectDispatches, selectDispatchDeliveries, deleteDispatches}
	err = s.transactHot(ctx, "claim events to start", queries, func(tx hotTx) error {
		var waiting []string
		if err := tx.selectHot(ctx, &waiting, selectWaitingTenants, c.After, claimedTenants); err != nil || len(waiting) == 0 {
			return err
		}
		if len(waiting) == claimedTenants {
			last = waiting[len(waiting)-1]
		}
		tenants, err := mayTurn(ctx, tx, waiting, c)
		if err != nil {
			return err
		}
		var claimed []claimedRow
		err = tx.selectHot(ctx, &claimed, claimDispatches, c.Limit, c.Lease.Milliseconds(), pq.StringArray(tenants))
		if err != nil || len(claimed) == 0 {
			return err
		}
		inOrder(claimed, tenants)
		events, kept, err := readClaimed(ctx, tx, claimed, s.opts.MaxDeliveries)
		if err != nil {
			return err
		}
		if out = events; len(claimed) == c.Limit || len(kept) < len(claimed) {
			last = kept[len(kept)-1].TenantID
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return out, last, nil
}

// mayTurn returns those of the tenants that may have a turn, in their order.
func mayTurn(ctx context.Context, tx hotTx, tenants []string, c store.DispatchClaim) ([]string, error) {
	tenants = slices.DeleteFunc(tenants, func(id string) bool { return slices.Contains(c.Without, id) })
	if !c.ExpressOnly {
		return tenants, nil
	}
	var express []string
	err := tx.SelectContext(ctx, &express, selectExpressTenants, pq.StringArray(tenants))
	return slices.DeleteFunc(tenants, func(id string) bool { return !slices.Contains(express, id) }), err
}

type claimedRow struct {
	Key      webhook.EventKey `db:"event_key"`
	TenantID string           `db:"tenant_id"`
	Tries    int              `db:"tries"`
	// Since is when it was due.
	Since time.Time `db:"since"`
}

// inOrder sorts what was claimed by turns, and what a tenant has by how long it has waited.
func inOrder(claimed []claimedRow, tenants []string) {
	turn := make(map[string]int, len(tenants))
	for i, id := range tenants {
		turn[id] = i
	}
	slices.SortFunc(claimed, func(a, b claimedRow) int {
		return cmp.Or(cmp.Compare(turn[a.TenantID], turn[b.TenantID]), a.Since.Compare(b.Since))
	})
}

// readClaimed returns the claimed events, and which of those that were claimed it keeps. It gives back what comes after the most deliveries:
// a hundred events to thousands of endpoints each would be more than a call has time for, again and again. It forgets those that retention
// removed.
func readClaimed(ctx context.Context, tx hotTx, claimed []claimedRow, most int) (out []store.Dispatch, kept []claimedRow, err error) {
	keys, tries := make([]webhook.EventKey, len(claimed)), make(map[webhook.EventKey]int, len(claimed))
	for i, c := range claimed {
		keys[i], tries[c.Key] = c.Key, c.Tries
	}
	deliveries, n, err := readDispatchDeliveries(ctx, tx, keys, most)
	if err != nil {
		return nil, nil, err
	}
	if err := unclaim(ctx, tx, claimed[n:]); err != nil {
		return nil, nil, err
	}
	if out, err = readDispatches(ctx, tx, keys[:n], deliveries); err != nil {
		return nil, nil, err
	}
	for i := range out {
		out[i].Tries = tries[out[i].EventKey]
	}
	return out, claimed[:n], forgetLost(ctx, tx, keys[:n], out)
}

func unclaim(ctx context.Context, tx hotTx, claimed []claimedRow) error {
	if len(claimed) == 0 {
		return nil
	}
	keys, since := new(arrayBuilder), new(arrayBuilder)
	for _, c := range claimed {
		keys.addID(c.Key)
		since.addTime(c.Since)
	}
	return tx.execHot(ctx, unclaimDispatches, keys, since)
}

// readDispatches returns the events as Accept gives them to OnAccepted, with their deliveries and today's retry policies. A row that cannot
// be read becomes the Fault of its dispatch, so that it does not stop the others.
func readDispatches(ctx context.Context, tx hotTx, keys []webhook.EventKey, deliveries []dispatchDelivery) ([]store.Dispatch, error) {
	var events []struct {
		Key         webhook.EventKey    `db:"id"`
		TenantID    string              `db:"tenant_id"`
		EventID     string              `db:"event_id"`
		EventType   string              `db:"event_type"`
		Dialect     string              `db:"dialect"`
		Retry       []byte              `db:"retry"`
		Express     bool                `db:"express"`
		Traceparent webhook.Traceparent `db:"traceparent"`
	}
	if err := tx.selectHot(ctx, &events, selectDispatches, idsOf(keys)); err != nil {
		return nil, err
	}
	of, faults := map[webhook.EventKey][]store.DispatchDelivery{}, map[webhook.EventKey]error{}
	for _, d := range deliveries {
		retry, err := readRetry(d.Retry)
		if err != nil {
			faults[d.EventKey] = fmt.Errorf("the endpoint %s: %w", d.EndpointID, err)
		}
		of[d.EventKey] = append(of[d.EventKey], store.DispatchDelivery{ID: d.ID, EndpointID: d.EndpointID, Retry: retry})
	}
	out := make([]store.Dispatch, len(events))
	for i, e := range events {
		retry, err := readRetry(e.Retry)
		if err != nil {
			faults[e.Key] = fmt.Errorf("the tenant %s: %w", e.TenantID, err)
		}
		out[i] = store.Dispatch{
			EventKey: e.Key, TenantID: e.TenantID, EventID: e.EventID, EventType: e.EventType, Dialect: e.Dialect, Retry: retry, Express: e.Express,
			Traceparent: e.Traceparent,
			Deliveries:  of[e.Key], Fault: faults[e.Key],
		}
	}
	return out, nil
}

type dispatchDelivery struct {
	EventKey   webhook.EventKey   `db:"event_key"`
	ID         webhook.DeliveryID `db:"id"`
	EndpointID webhook.EndpointID `db:"endpoint_id"`
	Retry      []byte             `db:"retry"`
}

// readDispatchDeliveries reads the deliveries of the first n of the events, which have as many as most together, or more where the last of
// them has many.
func readDispatchDeliveries(ctx context.Context, tx hotTx, keys []webhook.EventKey, most int) (deliveries []dispatchDelivery, n int, err error) {
	limit := most + 1
	if deliveries, err = readDeliveriesOf(ctx, tx, keys, &limit); err != nil || len(deliveries) <= most {
		return deliveries, len(keys), err
	}
	deliveries = nil
	for n < len(keys) && len(deliveries) < most {
		one, err := readDeliveriesOf(ctx, tx, keys[n:n+1], nil)
		if err != nil {
			return nil, 0, err
		}
		deliveries, n = append(deliveries, one...), n+1
	}
	return deliveries, n, nil
}

// readDeliveriesOf reads the deliveries of events, up to limit of them; nil: all. Every event of a dispatch has some: where a clock was so
// wrong that they are not where they should be, they are looked for everywhere, because an event that starts without its deliveries is
// lost.
func readDeliveriesOf(ctx context.Context, tx hotTx, keys []webhook.EventKey, limit *int) (deliveries []dispatchDelivery, err error) {
	if err := tx.selectHot(ctx, &deliveries, selectDispatchDeliveries, idsOf(keys), limit); err != nil {
		return nil, err
	}
	if limit != nil && len(deliveries) == *limit {
		return deliveries, nil
	}
	found := make(map[webhook.EventKey]bool, len(keys))
	for _, d := range deliveries {
		found[d.EventKey] = true
	}
	missing := slices.DeleteFunc(slices.Clone(keys), func(key webhook.EventKey) bool { return found[key] })
	if len(missing) == 0 {
		return deliveries, nil
	}
	var astray []dispatchDelivery
	err = tx.SelectContext(ctx, &astray, dispatchDeliveriesAnywhere, idsOf(missing))
	return append(deliveries, astray...), err
}

// forgetLost deletes the dispatches of events that retention removed, because they cannot be delivered.
func forgetLost(ctx context.Context, tx hotTx, keys []webhook.EventKey, found []store.Dispatch) error {
	for _, d := range found {
		keys = slices.DeleteFunc(keys, func(key webhook.EventKey) bool { return key == d.EventKey })
	}
	if len(keys) == 0 {
		return nil
	}
	return tx.execHot(ctx, deleteDispatches, idsOf(keys))
}

// CountDispatches implements store.Dispatches.
func (s *Store) CountDispatches(ctx context.Context, each int) (*store.Backlog, error) {
	var rows []struct {
		TenantID string `db:"tenant_id"`
		N        int    `db:"n"`
		OfAll    int    `db:"of_all"`
	}
	if err := s.selectHot(ctx, &rows, countDispatchesByTenant, "", each, store.MaxCountedTenants); err != nil {
		return nil, failed("count the events to start", err)
	}
	out := &store.Backlog{Of: make(map[string]int, len(rows))}
	for _, row := range rows { // after a broken connection there may be rows of that one too, before these
		out.All, out.Of[row.TenantID] = row.OfAll, row.N
	}
	return out, nil
}

// DeleteDispatches implements store.Dispatches. Concurrent calls share a statement.
func (s *Store) DeleteDispatches(ctx context.Context, keys []webhook.EventKey) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := s.deletions.do(ctx, keys)
	return err
}

func (s *Store) deleteGroup(ctx context.Context, in [][]webhook.EventKey) ([]result[struct{}], error) {
	err := s.execHot(ctx, deleteDispatches, idsOf(slices.Concat(in...)))
	return make([]result[struct{}], len(in)), failed("delete dispatches", err)
}

// ReleaseDispatches implements store.Dispatches.
func (s *Store) ReleaseDispatches(ctx context.Context, releases []store.Release) error {
	if len(releases) == 0 {
		return nil
	}
	keys, after, errs, aside := new(arrayBuilder), new(arrayBuilder), new(arrayBuilder), new(arrayBuilder)
	for _, r := range releases {
		keys.addID(r.EventKey)
		after.addInt(r.After.Milliseconds())
		errs.addText(cleanText(r.Error))
		aside.addBool(r.SetAside)
	}
	return failed("release events", s.execHot(ctx, releaseDispatches, keys, after, errs, aside))
}
