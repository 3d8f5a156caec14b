package postgres_test

import (
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
)

var scanOfPartition = regexp.MustCompile(`Index Scan using \S+ on (?:deliveries|events)_\S+ [^\n]*\n\s*Index Cond: ([^\n]*)`)

// A prepared statement may keep for hours the plan that was made for any values and on a partition of which nothing is
// known yet. No hot statement may then read a partition from end to end, or all that a tenant or an endpoint has.
func TestHotStatements_PlanStaysGoodWhileTablesGrow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	plansAreGood := func() {
		for name, query := range postgres.HotStatements {
			plan := postgres.ExplainGeneric(t, b.Store, query)
			for _, bad := range []string{"Seq Scan", "Hash Join", "Merge Join"} {
				require.NotContains(t, plan, bad, name)
			}
			for _, scan := range scanOfPartition.FindAllStringSubmatch(plan, -1) {
				require.Regexp(t, `\((id|event_key) = `, scan[1], "%s\n%s", name, plan)
			}
		}
	}
	plansAreGood()
	b.tenant("acme")
	b.endpoint("acme")
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, err := b.Accept(t.Context(), publication("acme", "")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	plansAreGood()
}

// Whoever looks for what stands still goes by an index that has nothing else, and not through the tables.
func TestReconcilerStatements_Plan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, query := range postgres.ReconcilerStatements {
		plan := postgres.ExplainGeneric(t, b.Store, query)
		require.NotRegexp(t, `Seq Scan on (deliveries|events)`, plan, name)
	}
	for name, conditions := range map[string][]string{
		"sweep":   {`Index Cond: \(\(id > sweep."position"\) AND \(id < uuid_floor`},
		"stalled": {`_due_\S+ [^\n]*\n\s*Index Cond: \(\(next_attempt_at < `, `_held_since_\S+ [^\n]*\n\s*Index Cond: \(\(held_at < `},
		"recover": {`Index Cond: \(endpoint_id > h.endpoint_id\)`},
	} {
		for _, condition := range conditions {
			require.Regexp(t, condition, postgres.ExplainGeneric(t, b.Store, postgres.ReconcilerStatements[name]), name)
		}
	}
}
