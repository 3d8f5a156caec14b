package client_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"waybill/client"
	"waybill/schemas"
)

// The generated file is what `go generate ./client` makes of the OpenAPI document as it is now.
func TestGenerated_IsCurrent(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "api.gen.go")
	generate := exec.CommandContext(t.Context(), "go", "tool", "oapi-codegen", "-config", "codegen/config.yaml", "-o", out, "../schemas/openapi.yaml")
	said, err := generate.CombinedOutput()
	require.NoError(t, err, "%s", said)
	fresh, err := os.ReadFile(out)
	require.NoError(t, err)
	kept, err := os.ReadFile("api.gen.go")
	require.NoError(t, err)
	require.Equal(t, string(kept), string(fresh), "api.gen.go is not what the OpenAPI document says now: run go generate ./client")
}

// Each operation is a method, and each list that has pages an iterator.
func TestClient_ReachesEveryOperation(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `yaml:"operationId"`
			Parameters  []struct {
				Ref string `yaml:"$ref"`
			} `yaml:"parameters"`
		} `yaml:"paths"`
	}
	// Parameters of a path are a list where operations are mappings.
	text := strings.ReplaceAll(string(schemas.OpenAPI), "\n    parameters:\n", "\n    x-parameters:\n")
	_ = yaml.Unmarshal([]byte(text), &doc)
	methods, operations, lists := reflect.TypeFor[*client.Client](), 0, 0
	for path, item := range doc.Paths {
		for method, op := range item {
			if op.OperationID == "" {
				continue
			}
			operations++
			name := strings.ToUpper(op.OperationID[:1]) + op.OperationID[1:]
			_, ok := methods.MethodByName(name)
			require.True(t, ok, "%s %s has no method %s", method, path, name)
			for _, p := range op.Parameters {
				if p.Ref == "#/components/parameters/Cursor" {
					lists++
					_, ok := methods.MethodByName(strings.TrimPrefix(name, "List"))
					require.True(t, ok, "%s has no iterator", name)
				}
			}
		}
	}
	require.Greater(t, operations, 60)
	require.Greater(t, lists, 10)
}
