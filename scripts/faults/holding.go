package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// holding is how much of a kind something holds at one moment.
type holding struct {
	holder string
	kind   kind
	value  float64
}

// holdings asks Linux, the servers themselves and Postgres what the servers hold, always in the same order.
func (r *run) holdings(ctx context.Context, servers ...*server) ([]holding, error) {
	var all []holding
	for i, s := range servers {
		holder := fmt.Sprintf("serve %d", i+1)
		rss, files, sockets, err := held(s.PID())
		if err != nil {
			return nil, err
		}
		status, text, err := r.ask(ctx, "http://"+*s.address.Load(), "GET", "/metrics", nil)
		if err != nil || status != 200 {
			return nil, fmt.Errorf("GET /metrics: %d, %w", status, err)
		}
		running, err := metric(text, "go_goroutines")
		if err != nil {
			return nil, err
		}
		used, err := heapAfterCollection(text)
		if err != nil {
			return nil, err
		}
		all = append(all, holding{holder, resident, rss}, holding{holder, heap, used / (1 << 20)},
			holding{holder, goroutines, running}, holding{holder, openFiles, files}, holding{holder, connections, sockets})
	}
	var sessions, open float64
	err := r.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waybill'),
		(SELECT count(*) FROM `+r.table("deliveries")+` WHERE tenant_id = $1 AND status IN ('pending', 'retrying'))`, r.tenant).Scan(&sessions, &open)
	if err != nil {
		return nil, fmt.Errorf("count backends and deliveries: %w", err)
	}
	return append(all, holding{"all", backends, sessions}, holding{"all", unsettled, open}), nil
}

// heapAfterCollection tells, in bytes, what was in use after the last collection: the runtime collects when the heap has
// grown by so many percent since. What is allocated at this moment would be mostly garbage.
func heapAfterCollection(metrics []byte) (float64, error) {
	next, err := metric(metrics, "go_memstats_next_gc_bytes")
	if err != nil {
		return 0, err
	}
	percent, err := metric(metrics, "go_gc_gogc_percent")
	return next / (1 + percent/100), err
}

// metric finds a metric without labels in Prometheus' text format.
func metric(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		if value, found := strings.CutPrefix(string(line), name+" "); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// held is what Linux knows of a process: resident memory in MiB, how many files it has open and how many of them are
// sockets.
func held(pid int) (residentMiB, files, sockets float64, err error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("read the process %d: %w", pid, err)
	}
	status, err := proc.NewStatus()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	targets, err := proc.FileDescriptorTargets()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("list the open files of process %d: %w", pid, err)
	}
	for _, target := range targets {
		if target == "" {
			continue // closed meanwhile
		}
		files++
		if strings.HasPrefix(target, "socket:") {
			sockets++
		}
	}
	return float64(status.VmRSS) / (1 << 20), files, sockets, nil
}
