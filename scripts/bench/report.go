package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"waybill/scripts/stack"
)

// row is one line of the report.
type row struct {
	Mode  string `json:"mode"`
	Key   string `json:"key"`
	Title string `json:"title"`
	// Floor is the key of the row that this one's throughput is compared with, empty where nothing compares.
	Floor   string             `json:"floor,omitempty"`
	Metrics map[metric]summary `json:"metrics"`
}

// report is all that was measured.
type report struct {
	Machine machine `json:"machine"`
	// Settings are the WAYBILL_ variables that the caller set, apart from secrets.
	Settings []string `json:"settings,omitempty"`
	// Without are the shipped settings of the stack that were left out.
	Without []stack.Setting `json:"without,omitempty"`
	// Shape is of what the stack is made, "" of one process of each kind. The floor of November 2026 always is.
	Shape string `json:"shape,omitempty"`
	// Given says that Postgres and Temporal, or Waybill as a whole, were there already.
	Given bool `json:"given,omitempty"`
	Runs  int  `json:"runs"`
	// Events multiplies the numbers of events.
	Events float64 `json:"events"`
	Rows   []row   `json:"rows"`
	Totals []total `json:"totals"`
	// PeakRSS is the most that `waybill serve` ever took in each mode, in MiB.
	PeakRSS map[string]float64 `json:"peak_rss_mib_waybill_serve"`
	Targets []verdict          `json:"targets"`
}

// machine is what the figures were measured on.
type machine struct {
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

func newReport(o *options) *report {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // unknown is said by its absence
	r := &report{
		Machine: machine{CPUs: runtime.NumCPU(), Kernel: strings.TrimSpace(string(kernel)), Go: runtime.Version()},
		Runs:    o.runs, Events: o.scale, PeakRSS: map[string]float64{}, Without: o.without, Shape: o.shape, Given: o.given(),
	}
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		secret := strings.Contains(name, "KEY") || strings.Contains(name, "URL")
		if strings.HasPrefix(name, "WAYBILL_") && !strings.HasPrefix(name, "WAYBILL_TEST_") && !secret {
			r.Settings = append(r.Settings, variable)
		}
	}
	return r
}

func (r *report) add(info row) { r.Rows = append(r.Rows, info) }

func (r *report) notePeak(mode string, bytes int64) {
	r.PeakRSS[mode] = max(r.PeakRSS[mode], float64(bytes)/(1<<20))
}

// find returns the median of a metric.
func (r *report) find(mode, key string, m metric) (float64, bool) {
	for _, row := range r.Rows {
		if row.Mode == mode && row.Key == key {
			s, ok := row.Metrics[m]
			return s.Median, ok
		}
	}
	return 0, false
}

// print writes the three tables, the queries of the log, and how the targets were met.
func (r *report) print(out io.Writer) error {
	fmt.Fprintf(out, "\n%d CPUs, Linux %s, %s; medians of %d runs\n", r.Machine.CPUs, r.Machine.Kernel, r.Machine.Go, r.Runs)
	if r.Events != 1 {
		fmt.Fprintf(out, "with %v times the usual numbers of events, so the figures are not to be compared\n", r.Events)
	}
	if len(r.Without) > 0 {
		fmt.Fprintf(out, "WITHOUT %s\n", joined(r.Without))
	}
	if r.Shape != "" {
		fmt.Fprintf(out, "in the shape %s\n", r.Shape)
	}
	if r.Given {
		fmt.Fprintln(out, "on what was given: the cost of processes that were not started here is not known")
	}
	if len(r.Settings) > 0 {
		fmt.Fprintf(out, "set by the caller: %s\n", strings.Join(r.Settings, " "))
	}
	speed := "mode\tcase\taccepted/s\tdelivered/s\t(min-max)\tof floor\tp50 ms\tp95 ms\tp99 ms\tlost\tduplicates"
	cost := "mode\tcase\tCPU ms each: waybill\ttemporal\tpostgres\tsum\tload\tpeak RSS MiB: waybill\ttemporal\tpostgres\tload"
	stores := "mode\tcase\tstatements each: waybill's database\tTemporal's\tcommits each: waybill's\tTemporal's\tworkflows deleted/s"
	if err := errors.Join(r.table(out, speed, r.speedCells), r.table(out, cost, costCells), r.table(out, stores, storeCells)); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, row := range r.Rows {
		if err := printLogQueries(out, row); err != nil {
			return err
		}
		printUpkeep(out, row)
	}
	for _, t := range r.Totals {
		fmt.Fprintln(out, t)
	}
	for _, v := range r.Targets {
		fmt.Fprintln(out, v)
	}
	return nil
}

func (r *report) table(out io.Writer, head string, cells func(row) []string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\n"+head)
	for _, row := range r.Rows {
		fmt.Fprintln(table, strings.Join(append([]string{row.Mode, row.Title}, cells(row)...), "\t"))
	}
	return table.Flush()
}

func (r *report) speedCells(info row) []string {
	spread := "-"
	if s, ok := info.Metrics[delivered]; ok {
		spread = fmt.Sprintf("%.0f-%.0f", s.Min, s.Max)
	}
	return []string{
		info.cell(accepted, 0), info.cell(delivered, 0), spread, r.ofFloor(info),
		info.cell(latencyP50, 1), info.cell(latencyP95, 1), info.cell(latencyP99, 1), info.cell(lost, 0), info.cell(duplicates, 0),
	}
}

func costCells(info row) []string {
	cells := make([]string, 0, 9)
	for _, process := range systemProcesses() {
		cells = append(cells, info.cell(cpuOf(process), 2))
	}
	cells = append(cells, info.cpuSum(), info.cell(cpuOf(load), 2))
	for _, process := range append(systemProcesses(), load) {
		cells = append(cells, info.cell(rssOf(process), 0))
	}
	return cells
}

func storeCells(info row) []string {
	return []string{
		info.cell(statementsOf("waybill"), 1), info.cell(statementsOf("temporal"), 1),
		info.cell(commitsOf("waybill"), 1), info.cell(commitsOf("temporal"), 1), info.cell(deleted, 0),
	}
}

// systemProcesses are Waybill and its stores, the load apart.
func systemProcesses() []string { return []string{"waybill", "temporal", "postgres"} }

func (info row) cell(m metric, decimals int) string {
	s, ok := info.Metrics[m]
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.*f", decimals, s.Median)
}

// cpuSum is what Waybill and its stores take together, the load apart.
func (info row) cpuSum() string {
	sum, ok := info.cpu()
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.2f", sum)
}

// cpu returns false when the cost of a store is not known. A floor has no Waybill.
func (info row) cpu() (sum float64, ok bool) {
	for _, process := range systemProcesses() {
		s, has := info.Metrics[cpuOf(process)]
		if !has && process != "waybill" {
			return 0, false
		}
		sum += s.Median
	}
	return sum, true
}

func (r *report) ofFloor(info row) string {
	least, ok := r.find(info.Mode, info.Floor, delivered)
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.2f", ratio(info.Metrics[delivered].Median, least))
}

func printLogQueries(out io.Writer, info row) error {
	if _, ok := info.Metrics[logP95]; !ok {
		return nil
	}
	fmt.Fprintf(out, "%s, %s: p95 of all queries of the log %s ms; peak RSS of waybill meanwhile %s MiB\n", info.Mode, info.Title,
		info.cell(logP95, 1), info.cell(logRSS, 0))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "query\tp50 ms\tp95 ms")
	for _, kind := range slices.Concat(logKinds(), pageKinds()) {
		fmt.Fprintf(table, "%s\t%s\t%s\n", kind.name, info.cell(logP50Of(kind.name), 1), info.cell(logP95Of(kind.name), 1))
	}
	fmt.Fprintln(table)
	return table.Flush()
}

// write puts everything into a file as JSON.
func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the figures: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}
