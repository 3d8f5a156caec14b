package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// commandTable lists every command that a person can run, as docs/cli.md has it.
func commandTable() string {
	var out strings.Builder
	out.WriteString("| command | does |\n|---|---|\n")
	var list func(c *cobra.Command)
	list = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if !sub.IsAvailableCommand() {
				continue
			}
			if !sub.HasAvailableSubCommands() {
				fmt.Fprintf(&out, "| `%s %s` | %s |\n", c.CommandPath(), sub.Use, sub.Short)
			}
			list(sub)
		}
	}
	list(newRoot(invocation{}, nil))
	return out.String()
}

// docs/cli.md lists every command. Set WAYBILL_TEST_WRITE to write the list anew.
func TestCLI_Documented(t *testing.T) {
	t.Parallel()
	const page, begins, ends = "../../docs/cli.md", "<!-- commands -->\n", "<!-- end of commands -->\n"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), begins)
	require.True(t, found)
	listed, after, found := strings.Cut(rest, ends)
	require.True(t, found)
	if os.Getenv("WAYBILL_TEST_WRITE") != "" {
		require.NoError(t, os.WriteFile(page, []byte(before+begins+commandTable()+ends+after), 0o644))
		return
	}
	require.Equal(t, commandTable(), listed, "write the list anew: WAYBILL_TEST_WRITE=1 go test -run TestCLI_Documented ./cmd/waybill")
}
