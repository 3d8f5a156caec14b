package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

// sampleEvery is how often memory is looked at. Reading /proc takes CPU from what is measured: some 20 microseconds for each
// process of the machine.
const sampleEvery = time.Second

// load is the name of this very process: publishers, receiver and, for the floor, Temporal's worker. The stack's
// processes are its children and not counted as it.
const load = "load"

// measuredProcess is one of the parts whose cost is told apart. Its children count as it, unless it is to be alone.
type measuredProcess struct {
	name  string
	pid   int
	alone bool
}

// meter follows what the parts take.
type meter struct {
	proc  processes
	parts []measuredProcess
	began []time.Duration

	// peak and err belong to the sampling until it has ended.
	peak []int64
	err  error

	stopping context.CancelFunc
	sampling sync.WaitGroup
}

// startMeter begins to measure the parts and this process.
func startMeter(ctx context.Context, parts []measuredProcess) (*meter, error) {
	proc, err := openProcesses(procfs.DefaultMountPoint)
	if err != nil {
		return nil, fmt.Errorf("measure processes: %w", err)
	}
	m := &meter{proc: proc, parts: append([]measuredProcess{{name: load, pid: os.Getpid(), alone: true}}, parts...)}
	m.peak = make([]int64, len(m.parts))
	if m.began, err = m.cpu(); err != nil {
		return nil, fmt.Errorf("measure processes: %w", err)
	}
	ctx, m.stopping = context.WithCancel(ctx)
	m.sampling.Go(func() { m.sampleMemory(ctx) })
	return m, nil
}

// stop adds the use since the start to the figures: CPU for each of n, and peak memory.
func (m *meter) stop(f figures, n int) error {
	m.stopping()
	m.sampling.Wait()
	ended, err := m.cpu()
	if err == nil {
		err = m.err
	}
	if err != nil {
		return fmt.Errorf("measure processes: %w", err)
	}
	for i, part := range m.parts { // several may have a name, as the nodes of a cluster do
		f[cpuOf(part.name)] += ratio(milliseconds(ended[i]-m.began[i]), float64(n))
		f[rssOf(part.name)] += float64(m.peak[i]) / (1 << 20)
	}
	return nil
}

// abandon ends a measurement without a result.
func (m *meter) abandon() {
	m.stopping()
	m.sampling.Wait()
}

func (m *meter) families() ([]family, error) {
	pids := make([]int, len(m.parts))
	for i, part := range m.parts {
		pids[i] = part.pid
	}
	all, err := m.proc.families(pids)
	for i := range all {
		if m.parts[i].alone {
			all[i].children = nil
		}
	}
	return all, err
}

func (m *meter) cpu() ([]time.Duration, error) {
	all, err := m.families()
	if err != nil {
		return nil, err
	}
	sums := make([]time.Duration, len(all))
	for i, f := range all {
		if sums[i], err = m.proc.cpu(f, !m.parts[i].alone); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

func (m *meter) sampleMemory(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		if err := m.sample(); err != nil {
			m.err = err
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *meter) sample() error {
	all, err := m.families()
	if err != nil {
		return err
	}
	for i, f := range all {
		rss, err := m.proc.resident(f)
		if err != nil {
			return err
		}
		m.peak[i] = max(m.peak[i], rss)
	}
	return nil
}
