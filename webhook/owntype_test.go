package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// wantN takes data that has an n.
type wantN struct{ noSchemas }

func (wantN) ValidateOwn(own *webhook.OwnType, data []byte) error {
	if own.Schema != nil && !strings.Contains(string(data), `"n"`) {
		err := webhook.Errorf(webhook.CodeSchemaViolation, "data has no n")
		err.Fields = []webhook.FieldError{{Field: "data/n", Detail: "is required"}}
		return err
	}
	return nil
}

func TestOwnType_Validate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		dialect string
		own     webhook.OwnType
		want    []string
	}{
		{"rheo", webhook.OwnType{Type: "parcel.moved", Description: "d"}, nil},
		{"tradevine", webhook.OwnType{Type: "product.moved", Description: "d"}, nil},
		{"tradevine", webhook.OwnType{Type: "parcel.moved", Description: "d"}, []string{"type"}},
		{"rheo", webhook.OwnType{Type: strings.Repeat("x", 129), Description: "d"}, []string{"type"}},
		{"rheo", webhook.OwnType{Type: "a.*", Description: "d"}, []string{"type"}},
		{"rheo", webhook.OwnType{Type: "a"}, []string{"description"}},
		{"rheo", webhook.OwnType{Type: "a", Description: strings.Repeat("x", 1001)}, []string{"description"}},
		{"rheo", webhook.OwnType{Type: "a", Description: "d", Schema: []byte(`{}`), Example: &webhook.Example{Data: []byte(`{"n":1}`)}}, nil},
		{"rheo", webhook.OwnType{Type: "a", Description: "d", Schema: []byte(`{}`), Example: &webhook.Example{Data: []byte(`{}`)}}, []string{"example.data/n"}},
		{"rheo", webhook.OwnType{Type: "a", Description: "d", Example: &webhook.Example{}}, []string{"example.data"}},
		{"rheo", webhook.OwnType{Type: "a", Description: "d", Example: &webhook.Example{Data: []byte(`"` + strings.Repeat("x", webhook.MaxExampleBytes-2) + `"`)}}, nil},
		{"rheo", webhook.OwnType{Type: "a", Description: "d", Example: &webhook.Example{Data: []byte(`"` + strings.Repeat("x", webhook.MaxExampleBytes-1) + `"`)}}, []string{"example.data"}},
		{"auction-excellence", webhook.OwnType{Type: "a", Description: "d", Example: &webhook.Example{Data: []byte(`1`)}}, []string{"example.attributes.auction_id"}},
	} {
		err := tc.own.Validate(&webhook.Tenant{}, dialect(t, tc.dialect), wantN{})
		if tc.want == nil {
			require.NoError(t, err, tc.own.Type)
		} else {
			require.Equal(t, tc.want, fields(t, err), tc.own.Type)
		}
	}
	own := webhook.OwnType{Type: "item.sold", Description: "d"}
	require.Equal(t, webhook.CodeConflict, webhook.ErrorCode(own.Validate(&webhook.Tenant{}, dialect(t, "rheo"), wantN{})))
	own.Type = webhook.TypeDeliveryExhausted
	require.Equal(t, webhook.CodeConflict, webhook.ErrorCode(own.Validate(&webhook.Tenant{Operator: true}, dialect(t, "rheo"), wantN{})))
	require.NoError(t, own.Validate(&webhook.Tenant{}, dialect(t, "rheo"), wantN{}))
}

// An own type is known where the dialect has a catalogue, and its data is checked in every dialect.
func TestNewPublication_OwnType(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	own := &webhook.OwnType{Type: "parcel.moved", Schema: []byte(`{}`)}
	publish := func(name string, own *webhook.OwnType, data string) webhook.Code {
		e := &webhook.Event{ID: "evt_1", TenantID: "acme", Type: "parcel.moved", OccurredAt: at, Data: []byte(data)}
		_, err := webhook.NewPublication(e, &webhook.Tenant{}, dialect(t, name), own, wantN{}, nil, at)
		return webhook.ErrorCode(err)
	}
	require.Equal(t, webhook.CodeUnknownEventType, publish("rheo", nil, `{"n":1}`))
	require.Empty(t, publish("rheo", own, `{"n":1}`))
	require.Equal(t, webhook.CodeSchemaViolation, publish("rheo", own, `{}`))
	require.Empty(t, publish("standard", nil, `{}`))
	require.Equal(t, webhook.CodeSchemaViolation, publish("standard", own, `{}`))
	require.Equal(t, webhook.CodeInvalid, publish("tradevine", own, `{"n":1}`), "no place in the envelope")
}

func TestEndpoint_SubscribesToOwnTypes(t *testing.T) {
	t.Parallel()
	for pattern, good := range map[string]bool{"parcel.moved": true, "parcel.*": true, "*": true, "item.sold": true, "parcel.lost": false, "par.*": false} {
		e := &webhook.Endpoint{URL: "https://r.example/h", EventTypes: []string{pattern}}
		err := e.Validate(webhook.Limits{Dialect: dialect(t, "rheo"), OwnTypes: []string{"parcel.moved"}})
		require.Equal(t, good, err == nil, "%s: %v", pattern, err)
	}
}
