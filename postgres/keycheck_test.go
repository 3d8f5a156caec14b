package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
)

// A key that has the id of another one is told from it by what that one sealed; a damaged value is not held against a key.
func TestCheckKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	right := postgrestest.Key()
	wrong := postgres.Key{ID: right.ID, Key: [32]byte{9}}
	require.NoError(t, b.keyed(wrong).CheckKeys(t.Context()), "nothing is sealed yet")
	b.sealEverything()
	require.NoError(t, b.CheckKeys(t.Context()))
	require.NoError(t, b.keyed(anotherKey()).CheckKeys(t.Context()), "a key that has sealed nothing yet")
	require.NoError(t, b.keyed(anotherKey(), right).CheckKeys(t.Context()))
	require.ErrorContains(t, b.keyed(wrong).CheckKeys(t.Context()), `the key "test" is another one`)
	require.ErrorContains(t, b.keyed(anotherKey(), wrong).CheckKeys(t.Context()), `the key "test" is another one`)

	b.exec(`UPDATE tenants SET secret_sealed = substring(secret_sealed FROM 1 FOR 20)`)
	require.NoError(t, b.CheckKeys(t.Context()), "the endpoint's secret opens")
}
