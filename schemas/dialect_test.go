package schemas_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/schemas"
	"waybill/webhook"
)

// documented is what event types the platforms' documents list, in their order.
var documented = map[string][]string{
	"standard": nil,
	"rheo":     {"listing.created", "item.sold", "listing.ended", "listing.failed"},
	"tradly": {
		"user.created", "user.updated", "listing.created", "listing.updated", "listing.deleted", "listing.approved",
		"listing.rejected", "account.created", "account.updated", "account.deleted", "account.approved",
		"account.rejected", "order.confirmed", "order.canceled",
	},
	"tradevine": {
		"product.created", "product.updated", "product.warehouse_stock_updated", "product.ats_updated",
		"product.deleted", "sales_order.created", "sales_order.updated", "sales_order.status_changed",
		"shipment.updated", "shipment.confirmed",
	},
	"auction-excellence": {
		"submission.created", "submission.updated", "inspection.created", "inspection.defect_added", "problem.created",
		"problem.status_changed", "problem.assigned", "problem.action_completed", "message.created", "message.edited",
		"message.deleted", "channel.created", "channel.archived", "member.invited", "member.joined",
		"member.role_changed", "member.removed",
	},
}

func readDialect(t *testing.T, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), name+".json")
	require.NoError(t, err)
	return data
}

func parseDialect(t *testing.T, name string) *webhook.Dialect {
	t.Helper()
	d, err := webhook.ParseDialect(readDialect(t, name))
	require.NoError(t, err)
	return d
}

func TestDialects_AreTheDocumented(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(schemas.Dialects(), "*")
	require.NoError(t, err)
	require.Len(t, files, len(documented))
	for name, types := range documented {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, schemas.CheckDialect("dialects/"+name+".json", readDialect(t, name)))
			d := parseDialect(t, name)
			require.Equal(t, name, d.Name)
			var listed []string
			for _, et := range d.EventTypes {
				listed = append(listed, et.Type)
			}
			require.Equal(t, types, listed)
		})
	}
}

// TestDialects_Examples publishes every example: the event, the schema and the body must take it.
func TestDialects_Examples(t *testing.T) {
	t.Parallel()
	for name := range documented {
		d := parseDialect(t, name)
		for _, et := range d.EventTypes {
			t.Run(name+" "+et.Type, func(t *testing.T) {
				t.Parallel()
				s, err := schemas.Compile(name+"/"+et.Type, et.Schema)
				require.NoError(t, err)
				require.Empty(t, s.Check(et.Example.Data))
				require.NotEmpty(t, s.Check([]byte(`"text"`)), "a schema that takes anything checks nothing")
				e := webhook.Event{
					ID: "e1", Type: et.Type, Data: et.Example.Data, Attributes: et.Example.Attributes,
					OccurredAt: time2026,
				}
				require.NoError(t, e.Validate(&webhook.Tenant{}, d))
				require.NotEmpty(t, d.Render(&e).Data(), "the envelope carries data")
			})
		}
	}
}

func TestDialects_RheoData(t *testing.T) {
	t.Parallel()
	d := parseDialect(t, "rheo")
	for _, tc := range []struct {
		eventType, old, new string
		want                []schemas.Violation
	}{
		{"item.sold", `"salePrice": 1100`, `"salePrice": 0`, nil},
		{"item.sold", `"salePrice": 1100`, `"salePrice": 1100.50, "more": [1]`, nil},
		{"item.sold", `"salePrice": 1100`, `"salePrice": -1`, []schemas.Violation{{Path: "data/salePrice", Detail: "is below 0"}}},
		{"item.sold", `"salePrice": 1100`, `"salePrice": "1100"`, []schemas.Violation{{Path: "data/salePrice", Detail: "is text, not a number"}}},
		{"item.sold", `"salePrice": 1100,`, ``, []schemas.Violation{{Path: "data/salePrice", Detail: "is required"}}},
		{"listing.ended", `"salePrice": 0`, `"salePrice": 0.0`, nil},
		{"listing.ended", `"salePrice": 0`, `"salePrice": 5`, []schemas.Violation{{Path: "data/salePrice", Detail: "is 5, not 0"}}},
		{"listing.failed", `"error"`, `"reason"`, []schemas.Violation{{Path: "data/error", Detail: "is required"}}},
		{"listing.created", `"traderaAdUrl"`, `"more"`, nil},
	} {
		et, ok := d.EventType(tc.eventType)
		require.True(t, ok)
		s, err := schemas.Compile("rheo/"+et.Type, et.Schema)
		require.NoError(t, err)
		data := strings.Replace(string(et.Example.Data), tc.old, tc.new, 1)
		require.NotEqual(t, string(et.Example.Data), data)
		require.Equal(t, tc.want, s.Check([]byte(data)), "%s", data)
	}
}

func TestCheckDialect_Broken(t *testing.T) {
	t.Parallel()
	good := string(readDialect(t, "rheo"))
	for _, tc := range []struct{ name, old, new, want string }{
		{"not a duration", `"timeout": "10s"`, `"timeout": "ten"`, `timeout: is "ten", which does not match `},
		{"a number for a duration", `"timeout": "10s"`, `"timeout": 10`, `timeout: is a number, not text`},
		{"unknown field", `"timeout": "10s"`, `"timeout": "10s", "timeuot": "10s"`, `timeuot: is not allowed`},
		{"missing field", `"hold_for": "72h",`, ``, `hold_for: is required`},
		{"unknown source", `"from": "event_id"`, `"from": "id"`, `envelope[0].from: is "id", not "event_id", "delivery_id", `},
		{"attribute without name", `"from": "event_id"`, `"from": "attribute"`, `envelope[0].attribute: is required`},
		{"attribute beside another source", `"from": "event_id"`, `"from": "event_id", "attribute": "a"`, `envelope[0].attribute: is not allowed`},
		{"no data", `{"name": "timestamp", "from": "occurred_at"},
    {"name": "data", "from": "data"}`, `{"name": "timestamp", "from": "occurred_at"}`, `envelope: lacks an item`},
		{"unknown algorithm", `"hmac-sha256"`, `"md5"`, `signatures[0].algorithm: is "md5", not "hmac-sha256"`},
		{"no signature in the format", `sha256={signature}`, `sha256`, `signatures[0].format: is "sha256", which`},
		{"header name", `"Content-Type"`, `"Content Type"`, `headers.Content Type: is not allowed`},
		{"no user agent", `, "User-Agent": "Waybill/1.0"`, ``, `headers.User-Agent: is required`},
		{"two retry forms", `"retry": {`, `"retry": {"policy": "table-5", `, `retry: fits more than one`},
		{"no retry form", `"exponential": {"first": "1s", "factor": 2, "retries": 5}`, ``, `retry: fits none`},
		{"delay", `"exponential": {"first": "1s", "factor": 2, "retries": 5}`, `"schedule": ["1s", "2"]`, `retry.schedule[1]: is "2", which`},
		{"half a retry", `"retries": 5`, `"retries": 5.5`, `retry.exponential.retries: is a number, not a whole number`},
		{"no endpoint", `"max": 1`, `"max": 0`, `endpoints.max: is below 1`},
		{"event type", `"type": "item.sold"`, `"type": "item sold"`, `event_types[1].type: is "item sold", which`},
		{"schema", `"schema": {`, `"schema": true, "x": {`, `event_types[0].schema: is true or false, not an object`},
		{"alert", `"https_only": true`, `"https_only": true, "alerts": {"on": ["down"], "subject": "s", "min_interval": "1h"}`, `alerts.on[0]: is "down", not "exhausted" or "disabled"`},
		{"not an object", good, `[]`, `the file: is a list, not an object`},
		{"not JSON", good, `{`, `is not JSON: `},
		{"more after the end", good, good + `{}`, `is not JSON: `},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			broken := strings.Replace(good, tc.old, tc.new, 1)
			require.NotEqual(t, good, broken)
			err := schemas.CheckDialect("dialects/rheo.json", []byte(broken))
			require.ErrorContains(t, err, "dialects/rheo.json: ")
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// TestCheckDialect_LeavesToParse breaks what a JSON Schema cannot see; ParseDialect names the field.
func TestCheckDialect_LeavesToParse(t *testing.T) {
	t.Parallel()
	good := string(readDialect(t, "rheo"))
	for _, tc := range []struct{ old, new, want string }{
		{`"timeout": "10s"`, `"timeout": "61s"`, "timeout"},
		{`"input": "{body}"`, `"input": "{bdy}"`, "signatures[0].input"},
		{`"input": "{body}"`, `"input": "{body"`, "signatures[0].input"},
		{`"Waybill/1.0"`, `"Waybill/{body}"`, "headers.User-Agent"},
		{`"first": "1s"`, `"first": "169h"`, "retry.exponential.first"},
		{`"from": "event_id"},`, `"from": "delivery_id"}, {"name": "again", "from": "delivery_id"},`, "envelope"},
		{`"type": "listing.ended"`, `"type": "item.sold"`, "event_types[2].type"},
	} {
		broken := []byte(strings.Replace(good, tc.old, tc.new, 1))
		require.NoError(t, schemas.CheckDialect("rheo.json", broken), tc.new)
		_, err := webhook.ParseDialect(broken)
		require.ErrorContains(t, err, "dialect rheo: "+tc.want+" ", tc.new)
	}
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(schemas.Migrations(), "*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		require.Regexp(t, `^\d{5}_[a-z_]+\.sql$`, file)
	}
}
