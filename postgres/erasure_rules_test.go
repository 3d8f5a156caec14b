package postgres_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// lifetimes says of every table when its rows go by retention, and what the erasure of their tenant does to them. Who adds a table
// decides both, and gives a tenant a row of it in everything.
var lifetimes = map[string]struct{ retention, erasure string }{
	"events":            {"with their month", "deleted"},
	"deliveries":        {"with their month", "deleted"},
	"attempts":          {"with their month", "deleted"},
	"event_keys":        {"with the event", "deleted"},
	"dispatches":        {"when the workflow starts", "deleted"},
	"erased_events":     {"after minutes", "deleted"},
	"outbox":            {"when it is ingested", "deleted"},
	"outbox_quarantine": {"by age", "deleted"},
	"recoveries":        {"by age, once ended", "deleted"},
	"endpoint_notices":  {"by age, once told", "deleted"},
	"endpoint_streaks":  {"with the endpoint", "deleted"},
	"endpoints":         {"by age, once deleted and named by no delivery", "deleted"},
	"delivery_stats":    {"after 8 days", "deleted"},
	"tenant_stats":      {"after 8 days", "deleted"},
	"idempotency_keys":  {"after a day", "deleted"},
	"audit":             {"by its own age", "deleted, but that the tenant was erased"},
	"tenants":           {"never", "deleted"},
	"api_keys":          {"by age, once revoked or expired", "deleted"},
	"sessions":          {"a day after their end", "deleted"},
	"portal_links":      {"a day after their end", "deleted"},
	"event_types":       {"never", "deleted"},
	"body_retention":    {"never", "deleted"},
	"publishers":        {"never", "deleted"},
	"erasures":          {"never", "kept: it says that the tenant was erased"},
	"reconciler_lease":  {"never", "of no tenant"},
	"reconciler_sweeps": {"never", "of no tenant"},
	"goose_db_version":  {"never", "of no tenant"},
}

// erasable says of every column of what the erasure of an event leaves in the log whether it is erased.
var erasable = map[string]struct{ erased, kept string }{
	"events": {
		"body delivery_id_at data_from data_to attributes metadata traceparent", "id tenant_id event_id event_type occurred_at created_at test erased_at",
	},
	"attempts": {
		"request_headers response_headers response_body response_truncated",
		"id delivery_id number started_at duration_ms status_code outcome error_class error manual url signed_with",
	},
	"deliveries": {
		"", "id tenant_id event_key event_id event_type endpoint_id status attempts next_attempt_at held_at failed_at reason created_at updated_at " +
			"queue_due_at queue_lease uncounted asked recovery_id test last_attempt_at last_duration_ms last_status_code last_error_class " +
			"last_error indexed_status failed_code test_secret",
	},
}

// A table without a rule for retention and erasure, and a column that an erased event could leave behind, do not pass unseen.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var tables []string
	require.NoError(t, b.db.Select(&tables, `SELECT relname FROM pg_class c WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
		ORDER BY 1`, pq.QuoteIdentifier(b.Schema())))
	require.ElementsMatch(t, slices.Collect(maps.Keys(lifetimes)), tables, "a table needs a row in lifetimes")
	for table, columns := range erasable {
		var found []string
		require.NoError(t, b.db.Select(&found, `SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`, table))
		require.ElementsMatch(t, strings.Fields(columns.erased+" "+columns.kept), found, "a column of %s needs a rule in erasable", table)
	}
}
