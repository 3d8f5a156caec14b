package webhook_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// event is a valid event of the dialect "standard", changed.
func event(change func(*webhook.Event)) *webhook.Event {
	e := &webhook.Event{ID: "evt_1", Type: "order.confirmed", OccurredAt: at, Data: json.RawMessage(`{"n":1}`)}
	change(e)
	return e
}

func TestEvent_Validate(t *testing.T) {
	t.Parallel()
	attributes := func(n int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[fmt.Sprintf("a%02d", i)] = ""
		}
		return out
	}
	for _, tc := range []struct {
		change func(*webhook.Event)
		want   []string
	}{
		{func(*webhook.Event) {}, nil},
		{func(e *webhook.Event) { e.ID = strings.Repeat("x", webhook.MaxEventIDBytes) }, nil},
		{func(e *webhook.Event) { e.ID = "9_A.b:c-d" }, nil},
		{func(e *webhook.Event) { e.ID = strings.Repeat("x", webhook.MaxEventIDBytes+1) }, []string{"id"}},
		{func(e *webhook.Event) { e.ID = "" }, []string{"id"}},
		{func(e *webhook.Event) { e.ID = "_V1StGXR8+Z5jdHi6B==" }, nil},
		{func(e *webhook.Event) { e.ID = "~order@shop.example:1=2" }, nil},
		{func(e *webhook.Event) { e.ID = ".x" }, []string{"id"}},
		{func(e *webhook.Event) { e.ID = ".." }, []string{"id"}},
		{func(e *webhook.Event) { e.ID = "a b" }, []string{"id"}},
		{func(e *webhook.Event) { e.ID = "é" }, []string{"id"}},
		{func(e *webhook.Event) { e.ID = "a/b" }, []string{"id"}},
		{func(e *webhook.Event) { e.ID = "a\n" }, []string{"id"}},
		{func(e *webhook.Event) { e.Type = strings.Repeat("x", webhook.MaxTypeBytes) }, nil},
		{func(e *webhook.Event) { e.Type = strings.Repeat("x", webhook.MaxTypeBytes+1) }, []string{"type"}},
		{func(e *webhook.Event) { e.Type = "" }, []string{"type"}},
		{func(e *webhook.Event) { e.Type = "order." }, []string{"type"}},
		{func(e *webhook.Event) { e.Type = "order.*" }, []string{"type"}},
		{func(e *webhook.Event) { e.Data = nil }, []string{"data"}},
		{func(e *webhook.Event) { e.Data = json.RawMessage("\"\xff\"") }, []string{"data"}},
		{func(e *webhook.Event) { e.OccurredAt = time.Time{} }, []string{"occurred_at"}},
		{func(e *webhook.Event) { e.OccurredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"occurred_at"}},
		{func(e *webhook.Event) { e.OccurredAt = time.Date(10000, 1, 1, 1, 0, 0, 0, at.Location()) }, nil},
		{func(e *webhook.Event) { e.Attributes = attributes(webhook.MaxAttributes) }, nil},
		{func(e *webhook.Event) { e.Attributes = attributes(webhook.MaxAttributes + 1) }, []string{"attributes"}},
		{func(e *webhook.Event) { e.Attributes = map[string]string{"": "x"} }, []string{"attributes."}},
		{func(e *webhook.Event) { e.Attributes = map[string]string{"a": strings.Repeat("x", 257)} }, []string{"attributes.a"}},
		{func(e *webhook.Event) { e.Attributes = map[string]string{"a": "x\x00"} }, []string{"attributes.a"}},
		{func(e *webhook.Event) { e.Metadata = attributes(webhook.MaxMetadata) }, nil},
		{func(e *webhook.Event) { e.Metadata = attributes(webhook.MaxMetadata + 1) }, []string{"metadata"}},
		{func(e *webhook.Event) { e.Metadata = map[string]string{"": "x"} }, []string{"metadata."}},
		{func(e *webhook.Event) { e.Metadata = map[string]string{"a": strings.Repeat("x", 256)} }, nil},
		{func(e *webhook.Event) { e.Metadata = map[string]string{"a": strings.Repeat("x", 257)} }, []string{"metadata.a"}},
		{func(e *webhook.Event) { e.Metadata = map[string]string{"a": "\x00", "b": "\xff"} }, []string{"metadata.a", "metadata.b"}},
		{func(e *webhook.Event) { *e = webhook.Event{} }, []string{"id", "type", "data", "occurred_at"}},
	} {
		e := event(tc.change)
		require.Equal(t, tc.want, fields(t, e.Validate(&webhook.Tenant{}, dialect(t, "standard"), nil)), "%+v", e)
	}
}

func TestEvent_Validate_Attributes(t *testing.T) {
	t.Parallel()
	d := dialect(t, "auction-excellence")
	for value, ok := range map[string]bool{
		auctionID: true, strings.ToUpper(auctionID): true, "": false, "x" + auctionID: false, auctionID[:35]: false,
		strings.ReplaceAll(auctionID, "-", ""): false, "{" + auctionID + "}": false,
	} {
		e := event(func(e *webhook.Event) {
			e.Type, e.Attributes = "member.joined", map[string]string{"auction_id": value}
		})
		err := e.Validate(&webhook.Tenant{}, d, nil)
		require.Equal(t, ok, err == nil, "%q", value)
		if !ok {
			require.Equal(t, []string{"attributes.auction_id"}, fields(t, err))
		}
	}
	e := event(func(e *webhook.Event) { e.Type = "member.joined" })
	require.ErrorContains(t, e.Validate(&webhook.Tenant{}, d, nil), "attributes.auction_id is required by the dialect auction-excellence")
}

// TestEvent_Validate_ID holds the form of ids that a dialect promises.
func TestEvent_Validate_ID(t *testing.T) {
	t.Parallel()
	d := dialect(t, "rheo")
	key := webhook.NewID[webhook.EventKey]([16]byte{1, 2, 3})
	for id, want := range map[string][]string{
		"evt_01j2k3m4n5p6q7r8s9t0": nil, "evt_...": nil, key.String(): nil, webhook.IDFromIdempotencyKey("order 4711"): nil,
		"order-4711": {"id"}, "EVT_1": {"id"}, "xevt_1": {"id"}, "evt-1": {"id"},
	} {
		e := event(func(e *webhook.Event) { e.ID, e.Type = id, "item.sold" })
		require.Equal(t, want, fields(t, e.Validate(&webhook.Tenant{}, d, nil)), id)
	}
	e := event(func(e *webhook.Event) { e.ID, e.Type = "order-4711", "item.sold" })
	require.ErrorContains(t, e.Validate(&webhook.Tenant{}, d, nil), "id must match the event_id_pattern of the dialect rheo, ^evt_, which \"order-4711\" does not")
	require.NoError(t, e.Validate(&webhook.Tenant{AllowUnknownTypes: true}, dialect(t, "standard"), nil))
}

func TestEvent_Validate_Catalogue(t *testing.T) {
	t.Parallel()
	d := dialect(t, "tradevine")
	known := event(func(e *webhook.Event) { e.Type = "product.created" })
	require.NoError(t, known.Validate(&webhook.Tenant{}, d, nil))

	unknown := event(func(e *webhook.Event) { e.Type = "product.sold" })
	err := unknown.Validate(&webhook.Tenant{}, d, nil)
	require.Equal(t, webhook.CodeUnknownEventType, webhook.ErrorCode(err))
	var e *webhook.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "type", e.Fields[0].Field)
	require.NoError(t, unknown.Validate(&webhook.Tenant{AllowUnknownTypes: true}, d, nil))

	homeless := event(func(e *webhook.Event) { e.Type = "customer.created" })
	err = homeless.Validate(&webhook.Tenant{AllowUnknownTypes: true}, d, nil)
	require.Equal(t, []string{"type"}, fields(t, err), "the body would not carry its data")
}

func TestEvent_Digest(t *testing.T) {
	t.Parallel()
	base := event(func(e *webhook.Event) { e.Attributes = map[string]string{"a": "1", "b": "2"} })
	when := at.UTC()
	require.Equal(t, base.Digest(&at), base.Digest(&when), "one moment, two zones")

	same := event(func(e *webhook.Event) {
		e.ID, e.TenantID, e.OccurredAt = "other", "other", time.Time{}
		e.Attributes = map[string]string{"b": "2", "a": "1"}
	})
	require.Equal(t, base.Digest(nil), same.Digest(nil), "id, tenant and the moment of acceptance do not count")
	require.Equal(t, "eb584efe4087687dc137156568d4625bfc233e3f5d5387cbb0d75fc2b199e15f", fmt.Sprintf("%x", base.Digest(nil)),
		"the digest that is stored of an event without metadata")

	seen := map[[32]byte]int{base.Digest(nil): -1, base.Digest(&at): -2}
	for i, change := range []func(*webhook.Event){
		func(e *webhook.Event) { e.Type = "order.canceled" },
		func(e *webhook.Event) { e.Data = json.RawMessage(`{"n": 1}`) },
		func(e *webhook.Event) { e.Attributes = nil },
		func(e *webhook.Event) { e.Attributes = map[string]string{"a": "2", "b": "1"} },
		func(e *webhook.Event) { e.Attributes = map[string]string{"a": "1b2", "": ""} },
		func(e *webhook.Event) { e.Attributes = map[string]string{"a1": "", "b": "2"} },
		func(e *webhook.Event) { e.Metadata = map[string]string{"a": "1", "b": "2"} },
		func(e *webhook.Event) { e.Metadata = map[string]string{"a": "1"} },
		func(e *webhook.Event) {
			e.Attributes, e.Metadata = map[string]string{"a": "1"}, map[string]string{"b": "2"}
		},
	} {
		digest := event(change).Digest(nil)
		before, taken := seen[digest]
		require.False(t, taken, "change %d has the digest of %d", i, before)
		seen[digest] = i
	}
}

func TestIDFromIdempotencyKey(t *testing.T) {
	t.Parallel()
	id := webhook.IDFromIdempotencyKey("order 4711 / é")
	require.Regexp(t, `^evt_[0-9a-f]{32}$`, id)
	require.Equal(t, id, webhook.IDFromIdempotencyKey("order 4711 / é"))
	require.NotEqual(t, id, webhook.IDFromIdempotencyKey("order 4711 / e"))
	require.NoError(t, event(func(e *webhook.Event) { e.ID = id }).Validate(&webhook.Tenant{}, dialect(t, "standard"), nil))
}
