package postgres_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// keptMonths is how many months before this one a long log has.
const keptMonths = 14

// longLog gives the tenant acme, in each month, a hundred events with a delivery of the endpoint and its attempt, and returns what it
// stored in the middle. Nobody ever analyzes the partitions.
func (b *bundle) longLog(endpoint webhook.EndpointID) (event webhook.EventKey, delivery webhook.DeliveryID, attempt webhook.AttemptID) {
	b.t.Helper()
	b.exec(`SELECT create_partition(parent, (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => ago))::date)
		FROM unnest(ARRAY['events', 'deliveries', 'attempts']) AS parent, generate_series(1, $1) AS ago`, keptMonths)
	b.fill(endpoint, 0) // no partition is analyzed from now on
	b.exec(`
		CREATE TABLE long_log AS
		SELECT ago, at, (left(uuid_floor(at)::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid AS id
		FROM generate_series(0, $1) AS ago, generate_series(1, 100) AS n,
			LATERAL (SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => ago)) AT TIME ZONE 'UTC'
				+ CASE WHEN ago > 0 THEN interval '14 days' ELSE interval '0' END + n * interval '1 s' AS at) AS spread`, keptMonths)
	b.exec(`
		INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, body, delivery_id_at, data_from, data_to)
		SELECT id, 'acme', 'evt_' || replace(id::text, '-', ''), 'order.confirmed', at, at, '{"data":{}}', -1, 8, 10 FROM long_log`)
	b.exec(`
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, status, attempts, created_at, updated_at)
		SELECT id, 'acme', id, 'evt_' || replace(id::text, '-', ''), 'order.confirmed', $1, 'delivered', 1, at, at FROM long_log`, endpoint)
	b.exec(`
		INSERT INTO attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_class, error, request_headers,
			response_headers, response_body, response_truncated)
		SELECT id, id, 1, at, 1, 200, 'delivered', '', '', '{}', '{}', 'ok', false FROM long_log`)
	var id string
	require.NoError(b.t, b.db.Get(&id, `SELECT 'evt_' || replace(id::text, '-', '') FROM long_log WHERE ago = $1 ORDER BY id LIMIT 1 OFFSET 50`, keptMonths/2))
	b.exec(`DROP TABLE long_log`)
	require.NoError(b.t, event.UnmarshalText([]byte(id)))
	return event, webhook.DeliveryID(event), webhook.AttemptID(event)
}

// logPartition finds a partition of the log in a plan.
var logPartition = regexp.MustCompile(`\b(events|deliveries|attempts)_(\d{4}_\d{2}|default)\b`)

var partition = regexp.MustCompile(`^(events|deliveries|attempts)_\d{4}_\d{2}$`)

// monthsOf returns, of each table, how many months of the log a plan has looked into. Those that are made ahead are empty.
func monthsOf(plan postgres.PlanNode) map[string]int {
	now := time.Now().UTC().Format("2006_01")
	seen := map[string]bool{}
	var walk func(n *postgres.PlanNode)
	walk = func(n *postgres.PlanNode) {
		if n.Loops > 0 && n.Type != "ModifyTable" && partition.MatchString(n.Relation) && n.Relation[len(n.Relation)-len(now):] <= now {
			seen[n.Relation] = true
		}
		for i := range n.Plans {
			walk(&n.Plans[i])
		}
	}
	walk(&plan)
	tables := map[string]int{}
	for p := range seen {
		tables[partition.FindStringSubmatch(p)[1]]++
	}
	return tables
}

// monthsCase is a statement with arguments that mean one event of seven months ago, or a span of that month.
type monthsCase struct {
	query string
	args  []any
	// all says why the statement looks into every month; "": it looks into one of each table, or two where they meet.
	all string
}

// Reasons for looking into every month.
const (
	unsettledAny = "what is unsettled, or was opened again, may be of any month; a partial index has nothing else"
	recoveryAny  = "what a recovery sends may be of any month; a partial index has only what one sent"
	inOrder      = "where there is a default partition, Postgres merges the first row of each month: one look at an index a month"
	everyTrace   = "an erasure, or the end of an endpoint, must miss nothing"
)

func (b *bundle) monthsCases(endpoint webhook.EndpointID, event webhook.EventKey, delivery webhook.DeliveryID, attempt webhook.AttemptID) map[string]monthsCase {
	events, deliveries := pq.StringArray{event.UUID()}, pq.StringArray{delivery.UUID()}
	tenants, ids := pq.StringArray{"acme"}, pq.StringArray{event.String()}
	dialects, holds := pq.StringArray{"standard"}, pq.StringArray{"1000"}
	at, none, lease := event.Time(), "00000000-0000-0000-0000-000000000000", "019b0000-0000-7000-8000-000000000000"
	from, until := webhook.EventKey{}, at.Add(time.Hour)
	require.NoError(b.t, b.db.Get(&from, `SELECT uuid_floor($1::timestamptz)`, at.Add(-time.Hour)))
	recovery := &webhook.Recovery{TenantID: "acme", EndpointID: endpoint, Since: at.Add(-time.Hour), Until: until, Statuses: []webhook.Status{"exhausted"}}
	missed := []any{"acme", from, until, 1000, true, "{}", "{}", true, "{}", "{}", newEndpointID()}

	one := func(query string, args ...any) monthsCase { return monthsCase{query: query, args: args} }
	every := func(why, query string, args ...any) monthsCase { return monthsCase{query, args, why} }
	of := func(why string) func(query string, args []any) monthsCase {
		return func(query string, args []any) monthsCase { return monthsCase{query, args, why} }
	}
	anyRecord, anyArgs := postgres.RecordAnyQuery(record("acme", delivery, 2, webhook.StatusExhausted))
	advance, advanceArgs := postgres.AdvanceQuery(recovery, 10)
	count, countArgs := postgres.CountQuery(recovery)
	countArgs[1], advanceArgs[1] = from, from
	hot, queue, reconciler, log := postgres.HotStatements, postgres.QueueStatements, postgres.ReconcilerStatements, postgres.LogStatements
	stalled := []any{60_000, dialects, holds}
	return map[string]monthsCase{
		"record delivered": of("")(postgres.RecordQuery(record("acme", delivery, 2, webhook.StatusDelivered))),
		"record":           one(anyRecord, anyArgs...),
		"record and tell":  one(hot["record and tell"], append(slices.Clone(anyArgs), "ops")...),
		"sendings":         one(hot["sendings"], deliveries, tenants),
		"bodies":           one(hot["bodies"], events, 1000),
		"dispatches":       one(hot["dispatches"], events),
		"deliveries":       one(hot["deliveries"], events, 1000),
		"set aside":        one(hot["set aside"], none, 10),
		"receipts":         one(hot["receipts"], events),
		"generated":        one(hot["generated"], events, tenants, ids),
		"delivery":         one(hot["delivery"], delivery, "acme"),
		"cancel":           one(hot["cancel"], 7, delivery, "acme", "x", at),
		"hold":             one(hot["hold"], delivery, at, "x"),
		"to reopen":        one(hot["to reopen"], delivery),
		"reopen":           one(hot["reopen"], delivery, at),
		"hasten":           one(hot["hasten"], delivery, at),
		"release queued":   one(hot["release queued"], lease, deliveries),
		"postpone queued":  one(hot["postpone queued"], lease, deliveries, 1, 2),
		"renew queued":     one(hot["renew queued"], lease, deliveries, 1),

		"event's deliveries":     one(hot["event's deliveries"], event, "acme"),
		"owners":                 one(hot["owners"], event),
		"progress":               one(hot["progress"], event, "acme"),
		"attempts":               one(hot["attempts"], delivery, attempt, 10),
		"attempt":                one(hot["attempt"], attempt, "acme"),
		"recorded attempt":       one(hot["recorded attempt"], delivery, 1),
		"attempts of deliveries": one(log["attempts of deliveries"], deliveries),
		"deliveries astray":      every("it is the search for what a wrong clock led astray", log["deliveries astray"], events),
		"test secret":            one(log["test secret"], event, "x"),
		"retry a dispatch":       one(log["retry a dispatch"], event),
		"lost dispatches":        one(log["lost dispatches"]),
		"waiting":                one(log["waiting"], 10),

		"advance a recovery":  one(advance, advanceArgs...),
		"count of a recovery": one(count, countArgs...),
		"missed":              one(hot["missed"], append(slices.Clone(missed), 10)...),
		"count of missed":     one(log["count of missed"], missed...),
		"end of missed":       one(hot["end of missed"], missed[:4]...),
		"withdraw":            every(recoveryAny, hot["withdraw"], lease, none, 10),
		"recovery":            every(recoveryAny, log["recovery"], lease, "acme"),
		"recoveries":          every(recoveryAny, log["recoveries"], "acme", nil, nil, 10, nil),
		"end of a recovery":   every(recoveryAny, log["end of a recovery"], lease, "completed"),
		"unattempted":         every(unsettledAny, log["unattempted"], endpoint, lease),

		"claim":      of(unsettledAny)(postgres.ClaimQuery(endpoint, 10)),
		"hold queue": of(unsettledAny)(postgres.HoldQueuedQuery(endpoint, 10)),
		"state":      every(unsettledAny, queue["state"], endpoint, "acme", 10),
		"overdue":    of(unsettledAny)(postgres.OverdueQuery(10)),
		"adopt":      of(unsettledAny)(postgres.AdoptQuery(10)),
		"expire":     every(unsettledAny, queue["expire"], 7, dialects, holds, pq.StringArray{"x"}, at, 10),
		"of deleted": of(unsettledAny)(postgres.CancelOfDeletedQuery(endpoint, 10)),
		"queue":      one(queue["queue"], deliveries, tenants, pq.StringArray{"0"}),

		"sweep":   one(reconciler["sweep"], "1 hour", 60_000, 10),
		"unknown": one(reconciler["unknown"], tenants, ids, events),
		"stalled": every(unsettledAny, reconciler["stalled"], append(slices.Clone(stalled), at, none, 10)...),
		"count":   every(unsettledAny, reconciler["count"], stalled...),

		"trouble":                every(unsettledAny, log["trouble"], 10),
		"unsettled":              every(unsettledAny, log["unsettled"], "acme"),
		"unsettled of endpoints": every(unsettledAny, log["unsettled of endpoints"], "acme", pq.StringArray{endpoint.UUID()}, 10),

		"keys of a month":         one(log["keys of a month"], from, until, 10),
		"bodies due":              one(log["bodies due"], "acme", from, time.Since(until).Milliseconds(), 10),
		"count bodies":            one(log["count bodies"], "acme", from, time.Since(until).Milliseconds(), 10),
		"events of the default":   every(everyTrace, log["events of the default"], 1),
		"attempts of the default": one(log["attempts of the default"], 1),
		"deleted endpoints":       every(everyTrace, log["deleted endpoints"], 1),

		"erase an event":                 one(log["erase an event"], event, "acme", event.String()),
		"cancel of an erased event":      every(everyTrace, log["cancel of an erased event"], 7, event, at),
		"answers of an erased event":     every(everyTrace, log["answers of an erased event"], event, 10),
		"deliveries of an erased tenant": every(inOrder, log["deliveries of an erased tenant"], "acme", 10),
		"events of an erased tenant":     every(inOrder, log["events of an erased tenant"], "acme", 10),
		"erase attempts":                 every(everyTrace, log["erase attempts"], deliveries),
		"erase deliveries":               one(log["erase deliveries"], deliveries),
		"erase events":                   one(log["erase events"], events),
		"mentions of an erased tenant":   every(inOrder, log["mentions of an erased tenant"], "acme", from, "x", 10, "{x}"),

		"list":                of(inOrder)(postgres.ListQuery(store.DeliveryFilter{Page: store.Page{Limit: 50}})),
		"list, a later page":  of(inOrder)(postgres.ListQuery(store.DeliveryFilter{Page: store.Page{Limit: 20, After: delivery.String()}})),
		"list of a span":      of("")(postgres.ListQuery(store.DeliveryFilter{Since: recovery.Since, Until: until, Page: store.Page{Limit: 50}})),
		"list of an endpoint": of(inOrder)(postgres.ListQuery(store.DeliveryFilter{EndpointID: endpoint, Page: store.Page{Limit: 50}})),
		"list of an event":    of("")(postgres.ListQuery(store.DeliveryFilter{EventID: event.String(), Page: store.Page{Limit: 50}})),
		"list of a status":    of(inOrder)(postgres.ListQuery(store.DeliveryFilter{Statuses: []webhook.Status{"exhausted"}, Page: store.Page{Limit: 50}})),
		"events":              of(inOrder)(postgres.EventsQuery(store.EventFilter{Page: store.Page{Limit: 50}})),
		"events of a span":    of("")(postgres.EventsQuery(store.EventFilter{Since: recovery.Since, Until: until, Page: store.Page{Limit: 50}})),
		"events of a type":    of(inOrder)(postgres.EventsQuery(store.EventFilter{Type: "none", Page: store.Page{Limit: 50}})),
	}
}

// What a statement costs does not grow with the months that are kept: it looks into the month that it is about, or there is a reason to
// look into all, and then an index answers at once.
func TestStatements_LookIntoTheirMonth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	event, delivery, attempt := b.longLog(e.ID)
	b.plansAreGood()
	b.exec(`INSERT INTO dispatches (event_key, lease_until, set_aside_at) VALUES ($1, 'infinity', now())`, event)
	b.exec(`UPDATE reconciler_sweeps SET position = uuid_floor(now() - interval '61 minutes')`) // as it always is
	cases := b.monthsCases(e.ID, event, delivery, attempt)

	asked := map[string]bool{}
	for _, c := range cases {
		asked[c.query] = true
	}
	for _, statements := range []map[string]string{
		postgres.HotStatements, postgres.QueueStatements, postgres.ReconcilerStatements, postgres.StatsStatements, postgres.LogStatements,
	} {
		for name, query := range statements {
			if logPartition.MatchString(postgres.ExplainGeneric(t, b.Store, query)) {
				require.True(t, asked[query], "%s reads the log and has no case here", name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		generic := postgres.ExplainGeneric(t, b.Store, c.query)
		require.True(t, logPartition.MatchString(generic) || strings.Contains(generic, "Subplans Removed"), "%s does not read the log, so its case could not fail\n%s", name, generic)
		plan := postgres.Tried(t, b.Store, c.query, c.args)
		if c.all == "" {
			for table, n := range monthsOf(plan) {
				require.LessOrEqual(t, n, 2, "%s looks into months of %s\n%+v", name, table, plan)
			}
			continue
		}
		require.Less(t, plan.Hit+plan.Read, mostPages, "%s: %s", name, c.all)
	}
}

// Deliveries whose process had set its clock back are found with their event: by an hour as always, and by more when it is to be started.
func TestDeliveriesOfEvent_ClockSetBack(t *testing.T) {
	t.Parallel()
	for _, back := range []time.Duration{time.Hour, 48 * time.Hour} {
		b := setup(t, func(o *postgres.Options) { o.Leave = func(*store.Dispatch) bool { return true } })
		b.tenant("acme")
		b.endpoint("acme")
		p := publication("acme", "")
		p.CreatedAt = p.CreatedAt.Add(-back) // the ids go on from where they were
		outbox := publication("acme", "")
		require.NoError(t, b.db.Get(&outbox.Event.Key, `
			SELECT (left(uuid_floor(now() - interval '40 days')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid`)) // by the outbox, long ago
		outbox.Event.ID, outbox.CreatedAt = outbox.Event.Key.String(), outbox.CreatedAt.Add(-back)
		for _, p := range []*webhook.Publication{p, outbox} {
			r := b.publish(p)
			claimed, _, err := b.ClaimDispatches(t.Context(), store.DispatchClaim{Limit: 1, Lease: time.Minute})
			require.NoError(t, err)
			require.Len(t, claimed, 1)
			require.Len(t, claimed[0].Deliveries, 1, "it is not started without its delivery")
			require.Equal(t, r.Deliveries[0].ID, claimed[0].Deliveries[0].ID)
			if p == outbox && back > 24*time.Hour {
				continue // it is delivered, and its history does not show it
			}
			history, err := b.History(t.Context(), "acme", p.Event.ID)
			require.NoError(t, err)
			require.Len(t, history.Deliveries, 1)
			list, err := b.Deliveries(t.Context(), "acme", store.DeliveryFilter{EventID: p.Event.ID, Page: store.Page{Limit: 10}})
			require.NoError(t, err)
			require.Len(t, list.Items, 1)
		}
	}
}

// publishAstray publishes an event whose delivery is not where it should be: the event came by the outbox long ago, and the clock of the
// process that stores it was set back by two days.
func (b *bundle) publishAstray() webhook.ReceiptDelivery {
	b.t.Helper()
	p := publication("acme", "")
	require.NoError(b.t, b.db.Get(&p.Event.Key, `
		SELECT (left(uuid_floor(now() - interval '40 days')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid`))
	p.Event.ID, p.CreatedAt = p.Event.Key.String(), p.CreatedAt.Add(-48*time.Hour)
	r := b.publish(p)
	require.Len(b.t, r.Deliveries, 1)
	return r.Deliveries[0]
}
