package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
		rss, err := residentMiB(s.PID())
		if err != nil {
			return nil, err
		}
		files, sockets, err := descriptors(s.PID())
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

// residentMiB is a process' memory as proc_pid_status(5) has it.
func residentMiB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read a process: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmRSS:"); found {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory", pid)
}

// descriptors counts what a process has open, and how many of that are sockets.
func descriptors(pid int) (files, sockets float64, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("list open files: %w", err)
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		files++
		if strings.HasPrefix(target, "socket:") {
			sockets++
		}
	}
	return files, sockets, nil
}
