package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/scripts/stack"
)

// The greeting fits a terminal of 24 lines, and has no color codes where there is no terminal.
func TestGreeting(t *testing.T) {
	t.Parallel()
	ports, err := stack.FreePorts()
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, greeting.Execute(&text, greetingValues(stack.NewPrinter(&text), ports)))
	require.LessOrEqual(t, strings.Count(text.String(), "\n"), 24)
	require.NotContains(t, text.String(), "\x1b")
	require.Contains(t, text.String(), "http://"+ports.API.Addr())
	require.NotContains(t, text.String(), "<no value>")
}

func TestHelloID(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, helloID(time.Now()), helloID(time.Now().Add(time.Second)))
}
