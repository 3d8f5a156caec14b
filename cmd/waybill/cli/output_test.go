package cli

import (
	"bytes"
	"errors"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"waybill/client"
)

// full takes nothing, as a full disk does.
type full struct{}

var errFull = errors.New("no space left")

func (*full) Write([]byte) (int, error) { return 0, errFull }

// A failed write is never forgotten.
func TestOutput(t *testing.T) {
	t.Parallel()
	failed := writef(&full{}, "a")
	require.ErrorIs(t, failed, errFull)
	require.False(t, passes(failed), "it is no fault of the network")

	table := newTable(&full{})
	for range flushAfter {
		table.row("a", "b")
	}
	require.ErrorIs(t, table.end(), errFull, "the last flush has nothing to write, and an earlier one failed")

	line := &tailer{tailFlags: &tailFlags{}, out: &full{}}
	require.ErrorIs(t, line.write(&client.Delivery{ID: "dlv_1"}, "held", nil), errFull)
	line.json = true
	require.ErrorIs(t, line.write(&client.Delivery{ID: "dlv_1"}, "held", nil), errFull)
}

// The help names what a person writes, not what Go calls it.
func TestHelp_NamesValues(t *testing.T) {
	t.Parallel()
	visit(Commands(Env{}), func(c *cobra.Command) {
		var text bytes.Buffer
		writeUsage(&text, c)
		for _, word := range []string{"STRING", "STRINGTOSTRING", "INT64", "STRINGS", " INT\n"} {
			require.NotContains(t, text.String(), word, c.CommandPath())
		}
	})
	var text bytes.Buffer
	writeUsage(&text, newPublish(Env{}))
	require.Contains(t, text.String(), "--metadata NAME=VALUE,...\n")
	text.Reset()
	events, _, err := newEvents(Env{}).Find([]string{"list"})
	require.NoError(t, err)
	writeUsage(&text, events)
	require.Contains(t, text.String(), "--limit NUMBER\n")
}

// A value in a cell is what it is, in one line.
func TestCompact(t *testing.T) {
	t.Parallel()
	require.Equal(t, "[\"two  spaces <&>\",1]", compact([]any{"two  spaces <&>", 1}))
	require.Empty(t, compact(map[string]string{}))
	require.Empty(t, compact(nil))
}
