package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
)

// Planned on empty tables and for any values, as a prepared statement may stay for hours, no hot statement reads a
// partition from end to end.
func TestHotStatements_PlanStaysGoodWhileTablesGrow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, query := range postgres.HotStatements {
		plan := postgres.ExplainGeneric(t, b.Store, query)
		for _, bad := range []string{"Seq Scan", "Hash Join", "Merge Join"} {
			require.NotContains(t, plan, bad, name)
		}
	}
}
