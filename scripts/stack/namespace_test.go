package stack

import (
	"crypto/rand"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
)

// A namespace is made from nothing, and one of an earlier version is mended.
func TestEnsureNamespace(t *testing.T) {
	t.Parallel()
	address := os.Getenv("WAYBILL_TEST_TEMPORAL_ADDRESS")
	require.NotEmpty(t, address, "WAYBILL_TEST_TEMPORAL_ADDRESS is not set: run the tests with make test")
	name := "stack-" + rand.Text()
	require.NoError(t, EnsureNamespace(t.Context(), address, name))

	o, err := newOperator(address, name)
	require.NoError(t, err)
	defer o.close()
	require.NoError(t, o.health(t.Context(), workflowService))
	_, err = o.operator.RemoveSearchAttributes(t.Context(), &operatorservice.RemoveSearchAttributesRequest{Namespace: name, SearchAttributes: []string{"WaybillTenant"}})
	require.NoError(t, err)
	_, err = o.operator.AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
		Namespace: name, SearchAttributes: map[string]enumspb.IndexedValueType{"WaybillTenant": enumspb.INDEXED_VALUE_TYPE_INT},
	})
	require.NoError(t, err)
	require.NoError(t, EnsureNamespace(t.Context(), address, name))
	listed, err := o.operator.ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: name})
	require.NoError(t, err)
	require.Equal(t, searchAttributes, listed.GetCustomAttributes())
	require.NoError(t, DeleteNamespace(t.Context(), address, name))
}

func TestOperator_Down(t *testing.T) {
	t.Parallel()
	o, err := newOperator("127.0.0.1:1", "none")
	require.NoError(t, err)
	defer o.close()
	require.ErrorContains(t, o.health(t.Context(), workflowService), "ask how Temporal is")
}
