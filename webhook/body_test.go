package webhook_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// oddData is valid JSON that re-encoding would change: spacing, number forms, a key twice, HTML, escapes, beyond ASCII.
const oddData = "{ \"a\" :1e2,\n\t\"a\":-0.50, \"A\" : \"<b>&amp;\\/\\u00e9é😀\u2028\" ,\"n\":12345678901234567890 }"

const oddDataASCII = "{ \"a\" :1e2,\n\t\"a\":-0.50, \"A\" : \"<b>&amp;\\/\\u00e9\\u00e9\\ud83d\\ude00\\u2028\" ,\"n\":12345678901234567890 }"

func deliveryID(last byte) webhook.DeliveryID {
	return webhook.NewID[webhook.DeliveryID]([16]byte{0x01, 0x97, 0xab, 0xcd, 0xef, 0x01, 0x70, 2, 0x80, 0, 0, 0, 0, 0, 0, last})
}

func TestDialect_Render(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ dialect, eventType, want string }{
		{"standard", "order.confirmed", `{"type":"order.confirmed","timestamp":"2026-05-27T14:32:00.123456Z","data":` + oddData + `}`},
		{"rheo", "item.sold", `{"eventId":"evt_1","eventType":"item.sold","timestamp":"2026-05-27T14:32:00Z","data":` + oddData + `}`},
		{"tradly", "user.created", `{"id":"evt_1","type":"user.created","created_at":"2026-05-27T14:32:00Z","data":` + oddData + `}`},
		{"tradevine", "product.ats_updated", `{"EventID":"evt_1","EventType":"product.ats_updated","CreatedDate":"2026-05-27T14:32:00Z","Product":` + oddDataASCII + `}`},
		{"tradevine", "sales_order.status_changed", `{"EventID":"evt_1","EventType":"sales_order.status_changed","CreatedDate":"2026-05-27T14:32:00Z","SalesOrder":` + oddDataASCII + `}`},
		{"tradevine", "shipment.confirmed", `{"EventID":"evt_1","EventType":"shipment.confirmed","CreatedDate":"2026-05-27T14:32:00Z","SalesOrder":` + oddDataASCII + `}`},
		{"auction-excellence", "submission.created", `{"event":"submission.created","timestamp":"2026-05-27T14:32:00.123Z",` +
			`"webhook_id":"0197abcd-ef01-7002-8000-000000000007","auction_id":"` + auctionID + `","data":` + oddData + `}`},
	} {
		t.Run(tc.dialect+" "+tc.eventType, func(t *testing.T) {
			t.Parallel()
			e := &webhook.Event{
				ID: "evt_1", Type: tc.eventType, OccurredAt: at, Data: json.RawMessage(oddData),
				Attributes: map[string]string{"auction_id": auctionID, "unused": "x"},
			}
			body := dialect(t, tc.dialect).Render(e)
			sent := body.For(deliveryID(7))
			require.Equal(t, tc.want, string(sent))
			require.True(t, json.Valid(sent))
			require.Equal(t, sent, body.For(deliveryID(7)), "every attempt sends the same bytes")

			wantData := oddData
			if tc.dialect == "tradevine" {
				wantData = oddDataASCII
				require.NotRegexp(t, `[^\x00-\x7f]`, string(sent))
			}
			require.Equal(t, wantData, string(body.Data()))
			require.JSONEq(t, oddData, string(body.Data()), "escaping changes no value")
		})
	}
}

// TestDialect_Render_DeliveryID sends one stored body to two endpoints.
func TestDialect_Render_DeliveryID(t *testing.T) {
	t.Parallel()
	e := &webhook.Event{ID: "evt_1", Type: "member.joined", OccurredAt: at, Data: json.RawMessage(`{}`)}
	body := dialect(t, "auction-excellence").Render(e)
	stored := string(body.Bytes)
	for _, id := range []webhook.DeliveryID{deliveryID(1), deliveryID(2)} {
		var sent struct {
			ID string `json:"webhook_id"`
		}
		require.NoError(t, json.Unmarshal(body.For(id), &sent))
		require.Equal(t, id.UUID(), sent.ID)
	}
	require.Equal(t, stored, string(body.Bytes), "the stored bytes are untouched")
}

func TestDialect_Render_MissingAttribute(t *testing.T) {
	t.Parallel()
	e := &webhook.Event{ID: "evt_1", Type: "member.joined", OccurredAt: at, Data: json.RawMessage(`1`)}
	sent := dialect(t, "auction-excellence").Render(e).For(deliveryID(1))
	require.Contains(t, string(sent), `"auction_id":null,"data":1}`)
}

func TestDialect_Render_Text(t *testing.T) {
	t.Parallel()
	e := &webhook.Event{
		ID: "evt_1", Type: "a", OccurredAt: at, Data: json.RawMessage(`1`),
		Attributes: map[string]string{"auction_id": "\"<&>\\\n é😀\x7f"},
	}
	d := dialect(t, "auction-excellence")
	require.Contains(t, string(d.Render(e).Bytes), `"auction_id":"\"<&>\\\n é😀`+"\x7f"+`"`)
	d.ASCIIOnly = true
	require.Contains(t, string(d.Render(e).Bytes), `"auction_id":"\"<&>\\\n \u00e9\ud83d\ude00`+"\x7f"+`"`)
}

// FuzzDialect_Render_ASCII holds the ASCII form of any JSON to its meaning.
func FuzzDialect_Render_ASCII(f *testing.F) {
	f.Add([]byte(oddData))
	f.Add([]byte(`"\ud800 ￿𐀀"`))
	d := webhook.Dialect{ASCIIOnly: true, Envelope: []webhook.EnvelopeField{{Name: "é", From: webhook.FromData}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) || !utf8.Valid(data) {
			return
		}
		body := d.Render(&webhook.Event{Data: data})
		require.NotRegexp(t, `[^\x00-\x7f]`, string(body.Bytes))
		require.JSONEq(t, string(data), string(body.Data()))
	})
}
