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
				for _, other := range []string{`"text"`, `7`, `null`, `[{}]`} {
					require.NotEmpty(t, s.Check([]byte(other)), "every document says that data is an object, not %s", other)
				}
				e := webhook.Event{
					ID: "evt_1", Type: et.Type, Data: et.Example.Data, Attributes: et.Example.Attributes,
					OccurredAt: time2026,
				}
				require.NoError(t, e.Validate(&webhook.Tenant{}, d, nil))
				require.NotEmpty(t, d.Render(&e).Data(), "the envelope carries data")
			})
		}
	}
}

// dataCase is an example in which old is replaced by new, and what its schema says of that; "" where it fits.
type dataCase struct{ eventType, old, new, told string }

// checkData changes the catalogue's examples and holds what their schemas say of it.
func checkData(t *testing.T, name string, cases []dataCase) {
	t.Helper()
	d := parseDialect(t, name)
	for _, tc := range cases {
		et, ok := d.EventType(tc.eventType)
		require.True(t, ok, tc.eventType)
		s, err := schemas.Compile(name+"/"+et.Type, et.Schema)
		require.NoError(t, err)
		data := strings.Replace(string(et.Example.Data), tc.old, tc.new, 1)
		require.NotEqual(t, string(et.Example.Data), data, "%+v", tc)
		require.Equal(t, tc.told, told(s.Check([]byte(data))), "%s", data)
	}
}

// TestDialects_RheoData holds R4 and R11: what the samples carry, type by type.
func TestDialects_RheoData(t *testing.T) {
	t.Parallel()
	ids := map[string][]string{
		"listing.created": {"externalId", "rheoItemId", "traderaAdId"},
		"item.sold":       {"externalId", "rheoItemId", "traderaAdId"},
		"listing.ended":   {"externalId", "traderaAdId"},
		"listing.failed":  {"externalId"},
	}
	var cases []dataCase
	for _, eventType := range documented["rheo"] {
		for _, member := range append([]string{"platform", "salePrice", "currency"}, ids[eventType]...) {
			cases = append(cases, dataCase{eventType, `"` + member + `"`, `"other"`, "data/" + member + " is required"})
		}
		for _, id := range ids[eventType] {
			cases = append(cases, dataCase{eventType, `"` + id + `":"`, `"` + id + `":"","other":"`, "data/" + id + " is 0 characters long; at least 1 are needed"})
			cases = append(cases, dataCase{eventType, `"` + id + `":"`, `"` + id + `":7,"other":"`, "data/" + id + " is a number, not text"})
		}
		cases = append(cases,
			dataCase{eventType, `"tradera"`, `"blocket"`, `data/platform is "blocket", not "tradera"`},
			dataCase{eventType, `"SEK"`, `"EUR"`, `data/currency is "EUR", not "SEK"`},
			dataCase{eventType, `"platform"`, `"more":[1],"platform"`, ""})
		if eventType != "item.sold" {
			cases = append(cases,
				dataCase{eventType, `"salePrice":0`, `"salePrice":0.0`, ""},
				dataCase{eventType, `"salePrice":0`, `"salePrice":5`, "data/salePrice is 5, not 0"})
		}
	}
	checkData(t, "rheo", append(cases,
		dataCase{"item.sold", `1100`, `0`, "data/salePrice is not above 0"},
		dataCase{"item.sold", `1100`, `-1`, "data/salePrice is not above 0"},
		dataCase{"item.sold", `1100`, `"1100"`, "data/salePrice is text, not a number"},
		dataCase{"item.sold", `1100`, `0.01`, ""},
		dataCase{"listing.created", `"traderaAdUrl"`, `"more"`, ""},
		dataCase{"listing.created", `"https://www`, `"www`, `data/traderaAdUrl is "www.tradera.com/item/398271634", which does not match ^https?://`},
		dataCase{"listing.failed", `"error"`, `"reason"`, "data/error is required"},
		dataCase{"listing.failed", `"error":"`, `"error":"","reason":"`, "data/error is 0 characters long; at least 1 are needed"},
		dataCase{"listing.failed", `"platform"`, `"traderaAdId":"398271634","platform"`, ""},
	))
}

// TestDialects_UndescribedData holds that a schema asks for no more than the document says, and that the description says
// how little that is.
func TestDialects_UndescribedData(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ description, empty string }{
		"tradly":             {"The document does not describe data: any object.", ""},
		"tradevine":          {"the document names none of its members.", "data has 0 members; at least 1 are needed"},
		"auction-excellence": {"The document says of data only that it is an object", ""},
	} {
		for _, et := range parseDialect(t, name).EventTypes {
			s, err := schemas.Compile(name+"/"+et.Type, et.Schema)
			require.NoError(t, err)
			require.Equal(t, want.empty, told(s.Check([]byte(`{}`))), et.Type)
			require.Empty(t, s.Check([]byte(`{"anything":null}`)), et.Type)
			require.Contains(t, et.Description, want.description)
		}
	}
}

// TestDialects_ProblemStatus holds A15: a problem's status is open, in_progress or closed.
func TestDialects_ProblemStatus(t *testing.T) {
	t.Parallel()
	found := 0
	for _, et := range parseDialect(t, "auction-excellence").EventTypes {
		s, err := schemas.Compile("auction-excellence/"+et.Type, et.Schema)
		require.NoError(t, err)
		for status, want := range map[string]string{
			`"open"`: "", `"in_progress"`: "", `"closed"`: "",
			`"reopened"`: `data/status is "reopened", not "open", "in_progress" or "closed"`,
			`"Open"`:     `data/status is "Open", not "open", "in_progress" or "closed"`,
			`null`:       `data/status is null, not "open", "in_progress" or "closed"`,
		} {
			if !strings.HasPrefix(et.Type, "problem.") {
				want = ""
			}
			require.Equal(t, want, told(s.Check([]byte(`{"status":`+status+`}`))), et.Type)
			found++
		}
	}
	require.Equal(t, 17*6, found)
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
		{"status word", `{"exhausted": "failed"}`, `{"held": "paused"}`, `status_words.held: is not allowed`},
		{"no status word", `{"exhausted": "failed"}`, `{}`, `status_words: has 0 members`},
		{"event id pattern", `"event_id_pattern": "^evt_"`, `"event_id_pattern": ""`, `event_id_pattern: is 0 characters long`},
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
		{`"first": "1s"`, `"first": "999ms"`, "retry.exponential.first"},
		{`"exponential": {"first": "1s", "factor": 2, "retries": 5}`, `"schedule": ["1s", "0s"]`, "retry.schedule[1]"},
		{`"^evt_"`, `"^evt_("`, "event_id_pattern"},
		{`"^evt_"`, `"^ord_"`, "event_id_pattern"},
		{`"https_only": true`, `"https_only": true, "alerts": {"on": ["disabled"], "subject": "for {url}", "min_interval": "1h"}`, "alerts.subject"},
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
