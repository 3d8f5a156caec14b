package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestCatalogue_OwnTypes(t *testing.T) {
	t.Parallel()
	c, err := loadCatalogue("")
	require.NoError(t, err)
	own := &webhook.OwnType{Type: "parcel.moved"}
	require.NoError(t, c.ValidateOwn(own, []byte(`anything, it is not even looked at`)))
	own.SetSchema([]byte(`{"required":["parcel_id"]}`))
	require.NoError(t, c.CheckSchema(own.Schema))
	require.NoError(t, c.ValidateOwn(own, []byte(`{"parcel_id":1}`)))
	err = c.ValidateOwn(own, []byte(`{}`))
	require.Equal(t, webhook.CodeSchemaViolation, webhook.ErrorCode(err))
	require.ErrorContains(t, err, "data of parcel.moved breaks its schema: data/parcel_id is required")

	err = c.CheckSchema([]byte(`{"type":"objekt"}`))
	require.Equal(t, webhook.CodeInvalid, webhook.ErrorCode(err))
	require.ErrorContains(t, err, "event type: schema/type")
}
