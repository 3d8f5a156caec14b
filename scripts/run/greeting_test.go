package main

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/schemas"
	"waybill/webhook"
)

// The event to paste has an id that its dialect takes.
func TestHelloID(t *testing.T) {
	t.Parallel()
	file, err := fs.ReadFile(schemas.Dialects(), "rheo.json")
	require.NoError(t, err)
	rheo, err := webhook.ParseDialect(file)
	require.NoError(t, err)
	require.Regexp(t, rheo.EventIDPattern, helloID(time.Now()))
	require.NotEqual(t, helloID(time.Now()), helloID(time.Now().Add(time.Second)))
}
