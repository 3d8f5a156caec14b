package stack

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKindIn(t *testing.T) {
	t.Parallel()
	const list = "                  Name                     Type     \n  WaybillStatus                         Keyword    \n  WaybillStatusOfOld                    Int  \n"
	require.Equal(t, "Keyword", kindIn(list, "WaybillStatus"))
	require.Empty(t, kindIn(list, "WaybillStat"))
	require.Empty(t, kindIn(list, "WaybillTenant"))
}
