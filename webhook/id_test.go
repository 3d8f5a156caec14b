package webhook_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestID(t *testing.T) {
	t.Parallel()
	uuid := [16]byte{0x01, 0x97, 0xab, 0xcd, 0xef, 0x01, 0x70, 2, 0x80, 0, 0, 0, 0, 0, 0, 0xff}
	const digits, dashed = "0197abcdef01700280000000000000ff", "0197abcd-ef01-7002-8000-0000000000ff"
	require.Equal(t, "evt_"+digits, webhook.NewID[webhook.EventKey](uuid).String())
	require.Equal(t, "dlv_"+digits, webhook.NewID[webhook.DeliveryID](uuid).String())
	require.Equal(t, "att_"+digits, webhook.NewID[webhook.AttemptID](uuid).String())
	require.Equal(t, "key_"+digits, webhook.NewID[webhook.KeyID](uuid).String())
	id := webhook.NewID[webhook.EndpointID](uuid)
	require.Equal(t, "ep_"+digits, id.String())
	require.Equal(t, dashed, id.UUID())

	text, err := json.Marshal(map[webhook.EndpointID]webhook.EndpointID{id: id})
	require.NoError(t, err)
	require.JSONEq(t, `{"ep_`+digits+`":"ep_`+digits+`"}`, string(text))
	var read map[webhook.EndpointID]webhook.EndpointID
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, id, read[id])

	stored, err := id.Value()
	require.NoError(t, err)
	require.Equal(t, dashed, stored)
	for _, column := range []any{dashed, []byte(dashed)} {
		var scanned webhook.EndpointID
		require.True(t, scanned.IsZero())
		require.NoError(t, scanned.Scan(column))
		require.Equal(t, id, scanned)
	}
	for _, column := range []any{nil, 7, "", "0197", []byte("no")} {
		var scanned webhook.EndpointID
		require.ErrorContains(t, scanned.Scan(column), "cannot read an id from")
	}
}

func TestID_UnmarshalText(t *testing.T) {
	t.Parallel()
	good := "ep_" + strings.Repeat("0a", 16)
	var id webhook.EndpointID
	require.NoError(t, id.UnmarshalText([]byte(good)))
	require.Equal(t, good, id.String())
	for _, text := range []string{"", "ep_", good[3:], "dlv_" + good[3:], good + "0", good[:34], good[:34] + "g", " " + good, "ep_" + id.UUID()} {
		var bad webhook.EndpointID
		require.ErrorContains(t, bad.UnmarshalText([]byte(text)), "is not an id", "%q", text)
	}
}
