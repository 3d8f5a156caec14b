package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A duration reads alike in both forms of the log.
func TestLogForm_Durations(t *testing.T) {
	t.Parallel()
	for form, says := range map[string]string{"json": `"took":"1.5s"`, "text": "took=1.5s"} {
		var out strings.Builder
		s := &settings{}
		s.LogFormat = form
		slog.New(newLogForm(&out, s)).Info("request", "took", 1500*time.Millisecond, slog.Group("g", "took", time.Second))
		require.Contains(t, out.String(), says)
		require.NotContains(t, out.String(), "00000000", form)
	}
}

// What is wrong with several settings stands in a line each.
func TestDoctor_ManyFindingsInOne(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	writeFindings(&out, []finding{{"configuration", fails, "two are wrong:\nA is\x1b[31m\nB is", "Mend them."}})
	indent := strings.Repeat(" ", 26)
	require.Equal(t, "FAIL  configuration       two are wrong:\n"+indent+"A is[31m\n"+indent+"B is\n"+indent+"Mend them.\n", out.String())
}
