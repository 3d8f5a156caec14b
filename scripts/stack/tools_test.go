package stack

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The go command names a program after its package, and that of a module's root after the module, without the major version.
func TestTool_Program(t *testing.T) {
	t.Parallel()
	for pkg, program := range map[string]string{
		"helm.sh/helm/v3/cmd/helm": "helm", "github.com/goreleaser/goreleaser/v2": "goreleaser", "go.temporal.io/server/cmd/server": "server",
	} {
		require.Equal(t, program, Tool{Package: pkg}.program())
	}
}
