package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// noSchemas takes any data.
type noSchemas struct{}

func (noSchemas) Validate(string, string, []byte) error      { return nil }
func (noSchemas) ValidateOwn(*webhook.OwnType, []byte) error { return nil }
func (noSchemas) CheckSchema([]byte) error                   { return nil }

func outboxRow() *webhook.OutboxRow {
	return &webhook.OutboxRow{
		Key: webhook.NewID[webhook.EventKey]([16]byte{1}), TenantID: "acme", Type: "order.confirmed", Data: []byte(` {"n" : 1e2} `),
		CreatedAt: time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC),
	}
}

func publicationOf(t *testing.T, row *webhook.OutboxRow) (*webhook.Publication, error) {
	t.Helper()
	return row.Publication(&webhook.Tenant{ID: "acme"}, dialect(t, "standard"), nil, noSchemas{}, row.CreatedAt.Add(time.Hour))
}

func TestOutboxRow_Publication(t *testing.T) {
	t.Parallel()
	row := outboxRow()
	p, err := publicationOf(t, row)
	require.NoError(t, err)
	require.Equal(t, row.Key.String(), p.Event.ID)
	require.Equal(t, row.CreatedAt, p.Event.OccurredAt)
	require.Equal(t, row.CreatedAt.Add(time.Hour), p.CreatedAt)
	require.True(t, p.CallerID)
	require.Equal(t, ` {"n" : 1e2} `, string(p.Body.Data()))
	require.Equal(t, p.Event.Digest(nil), p.Digest, "a moment that was not given is no part of the request")

	id, at := "order-1", row.CreatedAt.Add(-time.Hour)
	row.EventID, row.OccurredAt, row.Attributes = &id, &at, []byte(`{"shop":"oslo","\u00e9":"\"","none":null}`)
	p, err = publicationOf(t, row)
	require.NoError(t, err)
	require.Equal(t, "order-1", p.Event.ID)
	require.Equal(t, at, p.Event.OccurredAt)
	require.Equal(t, map[string]string{"shop": "oslo", "é": `"`}, p.Event.Attributes)
	require.Equal(t, p.Event.Digest(&at), p.Digest)
}

func TestOutboxRow_Invalid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*webhook.OutboxRow)
		field  string
	}{
		"no data":               {func(r *webhook.OutboxRow) { r.Data = nil }, "data"},
		"not JSON":              {func(r *webhook.OutboxRow) { r.Data = []byte(`{`) }, "data"},
		"nested too deep":       {func(r *webhook.OutboxRow) { r.Data = []byte(strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)) }, "data"},
		"not UTF-8":             {func(r *webhook.OutboxRow) { r.Data = []byte("\"\xff\"") }, "data"},
		"no type":               {func(r *webhook.OutboxRow) { r.Type = "" }, "type"},
		"an empty id":           {func(r *webhook.OutboxRow) { r.EventID = new(string) }, "id"},
		"attributes as a list":  {func(r *webhook.OutboxRow) { r.Attributes = []byte(`[]`) }, "attributes"},
		"an attribute twice":    {func(r *webhook.OutboxRow) { r.Attributes = []byte(`{"a":"1","a":"2"}`) }, "attributes"},
		"a number":              {func(r *webhook.OutboxRow) { r.Attributes = []byte(`{"a":1}`) }, "attributes"},
		"an object within":      {func(r *webhook.OutboxRow) { r.Attributes = []byte(`{"a":{}}`) }, "attributes"},
		"a NUL character":       {func(r *webhook.OutboxRow) { r.Attributes = []byte(`{"a":"\u0000"}`) }, "attributes"},
		"a NUL name":            {func(r *webhook.OutboxRow) { r.Attributes = []byte(`{"\u0000":"a"}`) }, "attributes"},
		"attributes broken off": {func(r *webhook.OutboxRow) { r.Attributes = []byte(`{"a":`) }, "attributes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := outboxRow()
			test.change(row)
			_, err := publicationOf(t, row)
			require.Equal(t, []string{test.field}, fields(t, err))
		})
	}
}
