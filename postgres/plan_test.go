package postgres_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// scan is the use of an index of a partition: its columns, and those that the scan's condition binds; exactly: to a value, not a range.
type scan struct{ columns, bound, exactly []string }

var indexScan = regexp.MustCompile(`(?m)Index (?:Only )?Scan(?: Backward)? (?:using|on) (\S+)(?: on \S+)?(?: \S+)? +\(cost[^\n]*\n(?:\s*Index Cond: ([^\n]*))?`)

// scans returns how a plan uses the indexes of the partitions of deliveries, events and attempts.
func (b *bundle) scans(plan string) []scan {
	b.t.Helper()
	var found []scan
	for _, m := range indexScan.FindAllStringSubmatch(plan, -1) {
		var columns pq.StringArray
		require.NoError(b.t, b.db.Get(&columns, `
			SELECT array_agg(a.attname ORDER BY k.at) FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
				CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attribute, at) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attribute
			WHERE i.indexrelid = $1::regclass AND t.relname ~ '^(deliveries|events|attempts)_'`, pq.QuoteIdentifier(m[1])), plan)
		if columns == nil {
			continue
		}
		s := scan{columns: columns}
		for _, c := range columns {
			if regexp.MustCompile(`[( ]` + c + ` (=|<|>|<=|>=) `).MatchString(m[2]) {
				s.bound = append(s.bound, c)
			}
			if regexp.MustCompile(`[( ]` + c + ` = `).MatchString(m[2]) {
				s.exactly = append(s.exactly, c)
			}
		}
		found = append(found, s)
	}
	return found
}

// fill gives the tenant acme n deliveries of one endpoint, delivered, in partitions that nobody ever analyzes.
func (b *bundle) fill(endpoint webhook.EndpointID, n int) {
	b.t.Helper()
	var partitions []string
	require.NoError(b.t, b.db.Select(&partitions, `SELECT inhrelid::regclass::text FROM pg_inherits
		WHERE inhparent IN ('events'::regclass, 'deliveries'::regclass, 'attempts'::regclass)`))
	for _, p := range partitions {
		b.exec(`ALTER TABLE ` + p + ` SET (autovacuum_enabled = off)`)
	}
	b.exec(`
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, status, attempts, created_at, updated_at)
		SELECT id, 'acme', id, id::text, 'order.confirmed', $1, 'delivered', 1, at, at FROM (
			SELECT now() - n * interval '1 ms' AS at,
				(left(uuid_floor(now() - n * interval '1 ms')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid AS id
			FROM generate_series(1, $2) AS n) AS made`, endpoint, n)
}

// A prepared statement may keep for hours the plan that was made for any values and on a partition of which nothing is
// known yet. No hot statement may then read a partition from end to end, or all that a tenant or an endpoint has: of each
// index that it uses it gives every column up to one that tells a delivery or an event.
func TestHotStatements_PlanStaysGoodWhileTablesGrow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.plansAreGood()
	b.tenant("acme")
	b.fill(b.endpoint("acme").ID, 20_000)
	b.plansAreGood()
	plan := postgres.ExplainGeneric(t, b.Store, postgres.HotStatements["record"])
	require.NotEmpty(t, b.scans(plan), "the test understands the plan:\n%s", plan)
}

func (b *bundle) plansAreGood() {
	b.t.Helper()
	for name, query := range postgres.HotStatements {
		plan := postgres.ExplainGeneric(b.t, b.Store, query)
		for _, bad := range []string{"Seq Scan", "Hash Join", "Merge Join"} {
			require.NotContains(b.t, plan, bad, name)
		}
		for _, s := range b.scans(plan) {
			require.NotEmpty(b.t, s.exactly, "%s\n%s", name, plan) // a range alone may have everything
			require.Equal(b.t, s.columns[:len(s.bound)], s.bound, "%s\n%s", name, plan)
			require.Contains(b.t, []string{"id", "event_key", "delivery_id", "number"}, s.bound[len(s.bound)-1], "%s\n%s", name, plan)
		}
	}
}

// mostPages is what a statement may read that finds a page of the log, or a delivery, by its index: a few dozen. All that the
// tenant has is a thousand and more.
const mostPages = 400

// A record reads what it records, and not what else its tenant has.
func TestRecordAttempts_ReadsNoMoreWhileTheTenantGrows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.fill(b.endpoint("acme").ID, 20_000)
	d := b.delivery()
	query, args := postgres.RecordQuery(record("acme", d.ID, 1, webhook.StatusDelivered))
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	got, err := b.Delivery(t.Context(), "acme", d.ID)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, got.Status, "what was measured did its work")
	d = b.delivery()
	query, args = postgres.RecordAnyQuery(record("acme", d.ID, 1, webhook.StatusExhausted))
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	got, err = b.Delivery(t.Context(), "acme", d.ID)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusExhausted, got.Status)
}

// Deliveries that wait for a deleted endpoint are found without reading all deliveries of the endpoint, on partitions
// without statistics.
func TestCancelDeliveriesOfDeleted_ReadsAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fill(e.ID, 30_000)
	b.exec(`UPDATE deliveries SET status = 'retrying', indexed_status = 'retrying', next_attempt_at = now() WHERE id IN (SELECT id FROM deliveries ORDER BY id DESC LIMIT 5)`)
	b.exec(`UPDATE deliveries SET status = 'held', indexed_status = 'held', held_at = now()
		WHERE id IN (SELECT id FROM deliveries WHERE status = 'delivered' ORDER BY id DESC LIMIT 5)`)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	query, args := postgres.CancelOfDeletedQuery(e.ID, 20)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	require.Equal(t, 10, b.count(`SELECT count(*) FROM deliveries WHERE status = 'canceled'`))
}

// sweepAll leaves all deliveries as the reconciler does once it has swept them.
func (b *bundle) sweepAll() {
	b.t.Helper()
	b.exec(`UPDATE deliveries SET next_attempt_at = created_at, indexed_status = 'pending' WHERE status = 'pending'`)
	b.exec(`UPDATE reconciler_sweeps SET position = (SELECT id FROM deliveries ORDER BY id DESC LIMIT 1)`)
}

// spread gives some of what fill made other states than delivered with 200.
func (b *bundle) spread() {
	b.t.Helper()
	for _, status := range []string{"pending", "retrying", "held", "exhausted", "canceled"} {
		b.exec(`
			UPDATE deliveries SET status = $1, indexed_status = CASE WHEN $1 <> 'pending' THEN $1 END,
				held_at = CASE WHEN $1 = 'held' THEN now() END, next_attempt_at = CASE WHEN $1 = 'retrying' THEN now() END
			WHERE id IN (SELECT id FROM deliveries WHERE status = 'delivered' AND last_status_code IS NULL ORDER BY id LIMIT 2)`, status)
	}
	b.exec(`UPDATE deliveries SET last_status_code = 503, failed_code = 503, last_error_class = 'http_status' WHERE status = 'exhausted'`)
	b.exec(`UPDATE deliveries SET last_status_code = 0, failed_code = 0, last_error_class = 'dns' WHERE status = 'retrying'`)
	b.exec(`UPDATE deliveries SET test = true, last_status_code = 200, last_error_class = '' WHERE id IN (
		SELECT id FROM deliveries WHERE status = 'delivered' ORDER BY id LIMIT 2)`)
}

// A page of the log is read from the indexes that its filter asks for, in their order, however much else the tenant has.
func TestDeliveries_ListsReadAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fill(e.ID, 30_000)
	b.spread()
	b.sweepAll()
	var event webhook.EventKey
	require.NoError(t, b.db.Get(&event, `SELECT event_key FROM deliveries WHERE status = 'exhausted' ORDER BY id LIMIT 1`))
	b.exec(`
		INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, body, delivery_id_at, data_from, data_to)
		SELECT event_key, tenant_id, event_id, event_type, created_at, created_at, '{}', -1, 0, 2 FROM deliveries WHERE event_key = $1`, event)

	byTenant, byStatus, byEndpoint := []string{"tenant_id", "id"}, []string{"tenant_id", "indexed_status", "id"}, []string{"endpoint_id", "id"}
	byType, byCode, byError := []string{"tenant_id", "event_type", "id"}, []string{"tenant_id", "failed_code", "id"}, []string{"tenant_id", "last_error_class", "id"}
	of := func(statuses ...webhook.Status) []webhook.Status { return statuses }
	yes, no, unavailable, none, ok := true, false, 503, 0, 200
	for name, test := range map[string]struct {
		filter store.DeliveryFilter
		index  []string
		found  int
	}{
		"all":                          {store.DeliveryFilter{}, byTenant, 100},
		"delivered":                    {store.DeliveryFilter{Statuses: of("delivered")}, byTenant, 100},
		"pending":                      {store.DeliveryFilter{Statuses: of("pending")}, byStatus, 2},
		"retrying":                     {store.DeliveryFilter{Statuses: of("retrying")}, byStatus, 2},
		"held":                         {store.DeliveryFilter{Statuses: of("held")}, byStatus, 2},
		"exhausted":                    {store.DeliveryFilter{Statuses: of("exhausted")}, byStatus, 2},
		"canceled":                     {store.DeliveryFilter{Statuses: of("canceled")}, byStatus, 2},
		"three statuses":               {store.DeliveryFilter{Statuses: of("exhausted", "canceled", "pending")}, byStatus, 6},
		"a status and delivered":       {store.DeliveryFilter{Statuses: of("exhausted", "delivered")}, byTenant, 100},
		"a status and a type":          {store.DeliveryFilter{Statuses: of("pending"), EventType: "order.confirmed"}, byStatus, 2},
		"an endpoint":                  {store.DeliveryFilter{EndpointID: e.ID}, byEndpoint, 100},
		"an endpoint and a type":       {store.DeliveryFilter{EndpointID: e.ID, EventType: "order.confirmed"}, byEndpoint, 100},
		"an endpoint's pending":        {store.DeliveryFilter{EndpointID: e.ID, Statuses: of("retrying", "pending")}, byStatus, 4},
		"an endpoint's retrying":       {store.DeliveryFilter{EndpointID: e.ID, Statuses: of("retrying")}, byEndpoint, 2},
		"all that is open":             {store.DeliveryFilter{EndpointID: e.ID, Statuses: of("retrying", "held", "exhausted")}, byEndpoint, 6},
		"an endpoint's held":           {store.DeliveryFilter{EndpointID: e.ID, Statuses: of("held")}, byEndpoint, 2},
		"an endpoint's exhausted":      {store.DeliveryFilter{EndpointID: e.ID, Statuses: of("exhausted")}, byEndpoint, 2},
		"an endpoint's unsent":         {store.DeliveryFilter{EndpointID: e.ID, Statuses: of("canceled", "exhausted")}, byEndpoint, 4},
		"an endpoint's unsent or held": {store.DeliveryFilter{EndpointID: e.ID, Statuses: of("canceled", "held")}, byEndpoint, 4},
		"a type":                       {store.DeliveryFilter{EventType: "order.confirmed"}, byType, 100},
		"a rare type":                  {store.DeliveryFilter{EventType: "order.lost"}, byType, 0},
		"an event":                     {store.DeliveryFilter{EventID: event.String()}, []string{"event_key"}, 1},
		"an event and a status":        {store.DeliveryFilter{EventID: event.String(), Statuses: of("held")}, []string{"event_key"}, 0},
		"a code":                       {store.DeliveryFilter{StatusCode: &unavailable}, byCode, 2},
		"a code and an endpoint":       {store.DeliveryFilter{StatusCode: &unavailable, EndpointID: e.ID}, byCode, 2},
		"no answer":                    {store.DeliveryFilter{StatusCode: &none}, byCode, 2},
		"an error":                     {store.DeliveryFilter{ErrorClass: webhook.ErrorDNS}, byError, 2},
		"an error and statuses":        {store.DeliveryFilter{ErrorClass: webhook.ErrorDNS, Statuses: of("exhausted", "retrying")}, byError, 2},
		"tests":                        {store.DeliveryFilter{Test: &yes}, byTenant, 2},
		"tests of a status":            {store.DeliveryFilter{Test: &yes, Statuses: of("delivered")}, byTenant, 2},
		"all but tests":                {store.DeliveryFilter{Test: &no}, byTenant, 100},
		"an OK that is looked for":     {store.DeliveryFilter{StatusCode: &ok, EventType: "order.confirmed"}, byType, 0},
	} {
		f := test.filter
		f.Page = store.Page{Limit: 100}
		query, args := postgres.ListQuery(f)
		plan := postgres.ExplainGeneric(t, b.Store, query)
		scans := b.scans(plan)
		if f.EventID == "" { // that of an event leaves no partition of a plan without arguments
			require.NotEmpty(t, scans, "%s: %s", name, plan)
			require.NotContains(t, plan, "Sort  (", "%s: %s\n%s", name, query, plan)
		}
		for _, s := range scans {
			if slices.Contains(f.Statuses, webhook.StatusPending) && slices.Equal(s.columns, byTenant) {
				require.Equal(t, s.columns, s.bound, "%s: what was not swept: %s\n%s", name, query, plan)
				continue
			}
			require.Equal(t, test.index, s.columns, "%s: %s\n%s", name, query, plan)
			require.Equal(t, test.index[:max(1, len(test.index)-1)], s.bound, "%s: %s\n%s", name, query, plan)
		}
		most := mostPages
		if name == "an OK that is looked for" {
			most = 3 * postgres.Searched // it looks at a bounded number of rows, and not at all
		}
		require.Less(t, postgres.Buffers(t, b.Store, query, args), most, "%s: %s\n%s", name, query, plan)
		found, err := b.Deliveries(t.Context(), "acme", f)
		require.NoError(t, err)
		require.Len(t, found.Items, test.found, "%s: %s", name, query)
		if test.found == 0 {
			continue
		}
		f.Page.After, f.Since = found.Items[0].ID.String(), found.Items[0].CreatedAt.Add(-time.Hour)
		query, args = postgres.ListQuery(f)
		require.Less(t, postgres.Buffers(t, b.Store, query, args), most, "%s: %s", name, query)
	}
}

// The search for stalled deliveries uses an index that has nothing else, and does not read the tables.
func TestReconcilerStatements_Plan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, query := range postgres.ReconcilerStatements {
		plan := postgres.ExplainGeneric(t, b.Store, query)
		require.NotRegexp(t, `Seq Scan on (deliveries|events)`, plan, name)
	}
	for name, conditions := range map[string][]string{
		"sweep":   {`Index Cond: \(\(id > sweep."position"\) AND \(id < \(\(lpad`},
		"stalled": {`_due_\S+ [^\n]*\n\s*Index Cond: \(\(next_attempt_at < `, `_held_unowned_`},
	} {
		for _, condition := range conditions {
			require.Regexp(t, condition, postgres.ExplainGeneric(t, b.Store, postgres.ReconcilerStatements[name]), name)
		}
	}
}
