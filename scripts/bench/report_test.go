package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// measuredReport is a report of a run in which one endpoint did half of what the floor did.
func measuredReport() *report {
	median := func(v float64) summary {
		return summary{Median: v, Min: v - 5, Max: v + 5, Runs: []float64{v - 5, v, v + 5}}
	}
	r := newReport(&options{runs: 3, scale: 1})
	r.add(row{Mode: modeWorkflow, Key: floorOne, Title: "the floor", Metrics: map[metric]summary{delivered: median(180)}})
	r.add(row{Mode: modeWorkflow, Key: rowOne, Title: "one", Floor: floorOne, Metrics: map[metric]summary{
		delivered: median(90), latencyP50: median(12.34), cpuOf("waybill"): median(1), cpuOf("temporal"): median(3), cpuOf("postgres"): median(2), cpuOf(load): median(100),
		lost: median(0), rssOf("waybill"): median(50),
	}})
	r.add(row{Mode: modeWorkflow, Key: rowTen, Metrics: map[metric]summary{delivered: median(450)}})
	r.notePeak(modeWorkflow, 300<<20)
	r.notePeak(modeWorkflow, 100<<20)
	return r
}

func TestReport_Print(t *testing.T) {
	t.Parallel()
	r := measuredReport()
	r.judge([]string{modeWorkflow})
	var out strings.Builder
	require.NoError(t, r.print(&out))
	fields := strings.Fields(out.String())
	joined := strings.Join(fields, " ")
	require.Contains(t, joined, "workflow one - 90 85-95 0.50 12.3 - - 0 -")
	require.Contains(t, joined, "workflow one 1.00 3.00 2.00 6.00 100.00 50 - - -")
	require.Contains(t, joined, "one endpoint, delivered over the floor's: 0.50, to be at least 0.8: MISSED")
	require.Contains(t, joined, "deliveries over one endpoint's: 5.00, to be at least 5: reached")
	require.Contains(t, joined, "RSS MiB of waybill serve, throughout: 300.00, to be at most 256: MISSED")
	require.Len(t, r.Targets, 3, "what was not measured is not judged")
}

func TestReport_CPUSum(t *testing.T) {
	t.Parallel()
	sum, ok := measuredReport().look(modeWorkflow, rowOne, cpuSum)
	require.True(t, ok)
	require.Equal(t, 6.0, sum, "the load is not counted")
	_, ok = measuredReport().look(modeWorkflow, rowTen, cpuSum)
	require.False(t, ok, "what is not known is not taken for nothing")
	_, ok = measuredReport().look(modeExpress, rowOne, cpuSum)
	require.False(t, ok)
}

func TestReport_Write(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "figures.json")
	require.NoError(t, measuredReport().write(file))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var read report
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, []float64{85, 90, 95}, read.Rows[1].Metrics[delivered].Runs)
}
