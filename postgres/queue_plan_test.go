package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
)

// The statements of the queues find what they work on with an index that has nothing else.
func TestQueueStatements_Plan(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, query := range postgres.QueueStatements {
		plan := postgres.ExplainGeneric(t, b.Store, query)
		for _, bad := range []string{"Seq Scan", "Hash Join", "Merge Join"} {
			require.NotContains(t, plan, bad, name)
		}
	}
	for name, conditions := range map[string][]string{
		"claim":      {`_queue\S+ on [^\n]*\n\s*Index Cond: \(\(endpoint_id = enabled.id\) AND \(queue_due_at <= now\(\)\)\)`},
		"hold":       {`_queue\S+ on [^\n]*\n\s*Index Cond: \(endpoint_id = off.id\)`},
		"state":      {`_queue\S+ on [^\n]*\n\s*Index Cond: \(endpoint_id = e.id\)`},
		"overdue":    {`_queue\S+ on [^\n]*\n\s*Index Cond: \(endpoint_id > q_1.endpoint_id\)`, `_queue\S+ on [^\n]*\n\s*Index Cond: \(endpoint_id = e.id\)`},
		"expire":     {`_held_\S+ on [^\n]*\n\s*Index Cond: \(held_at < `},
		"of deleted": {`_queue\S+ on [^\n]*\n\s*Index Cond: \(endpoint_id = \$2\)`},
	} {
		for _, condition := range conditions {
			require.Regexp(t, condition, postgres.ExplainGeneric(t, b.Store, postgres.QueueStatements[name]), name)
		}
	}
}

// A claim reads the deliveries that it claims, however much the endpoint ever got and however much waits after them. Holding,
// adopting and looking for overdue queues read what they change, however much is held already.
func TestQueueStatements_ReadAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fill(e.ID, 30_000)
	b.exec(`
		UPDATE deliveries SET status = 'held', indexed_status = 'held', held_at = now(), queue_due_at = created_at
		WHERE id IN (SELECT id FROM deliveries ORDER BY id DESC LIMIT 10000)`)
	query, args := postgres.ClaimQuery(e.ID, 10)
	// Each of the ten gets an entry in every index of the table; all that is held would be ten thousand and more.
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 3*mostPages)
	require.Equal(t, 10, b.count(`SELECT count(*) FROM deliveries WHERE queue_lease IS NOT NULL AND status = 'retrying'`))
	query, args = postgres.OverdueQuery(20)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	b.disable(e.ID, "x")
	query, args = postgres.OverdueQuery(20)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	b.exec(`UPDATE deliveries SET queue_due_at = now() WHERE queue_lease IS NOT NULL`)
	query, args = postgres.HoldQueuedQuery(e.ID, 20)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE queue_lease IS NOT NULL`))
	query, args = postgres.AdoptQuery(20)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
}
