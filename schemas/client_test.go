package schemas_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	_ "github.com/oapi-codegen/runtime" // what the generated code imports
	"github.com/stretchr/testify/require"

	"waybill/schemas"
)

// A common generator makes a client of the document with its defaults, and the client compiles.
func TestOpenAPI_MakesAClient(t *testing.T) {
	t.Parallel()
	code, doc := filepath.Join(t.TempDir(), "client.go"), filepath.Join(t.TempDir(), "openapi.yaml")
	require.NoError(t, os.WriteFile(doc, schemas.OpenAPI, 0o600))
	generate := exec.CommandContext(t.Context(), "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "client", "-o", code, doc)
	out, err := generate.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out), "no warnings")
	text, err := os.ReadFile(code)
	require.NoError(t, err)
	for _, typed := range []string{
		"type DeliveryStatus string", "type Scope string", "func (c *ClientWithResponses) PublishEventWithResponse(", "JSON202 ", "ApplicationproblemJSON4XX ",
	} {
		require.Contains(t, string(text), typed)
	}
	out, err = exec.CommandContext(t.Context(), "go", "vet", code).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
