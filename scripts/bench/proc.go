package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// tick is the unit of CPU time in /proc/<pid>/stat: USER_HZ is 100 wherever Linux runs.
const tick = 10 * time.Millisecond

// processes reads the processes below a folder, as a rule procfs.DefaultMountPoint.
type processes struct{ fs procfs.FS }

func openProcesses(folder string) (processes, error) {
	fs, err := procfs.NewFS(folder)
	if err != nil {
		return processes{}, fmt.Errorf("open %s: %w", folder, err)
	}
	return processes{fs}, nil
}

// family is a process with its children, as of one moment.
type family struct {
	parent   int
	children []int
}

// families finds the children that each of the processes has now.
func (p processes) families(parents []int) ([]family, error) {
	all := make([]family, len(parents))
	place := make(map[int]int, len(parents))
	for i, pid := range parents {
		all[i].parent = pid
		place[pid] = i
	}
	running, err := p.fs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	for _, one := range running {
		s, err := one.Stat()
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the process %d: %w", one.PID, err)
		}
		if i, ok := place[s.PPID]; ok {
			all[i].children = append(all[i].children, one.PID)
		}
	}
	return all, nil
}

// cpu is the CPU time of the whole family, and if reaped is set, of those too that have ended: they passed theirs on to
// their parent.
func (p processes) cpu(f family, reaped bool) (time.Duration, error) {
	s, err := p.stat(f.parent)
	if err != nil {
		return 0, err
	}
	sum := own(s)
	if reaped {
		sum += ended(s)
	}
	for _, child := range f.children {
		c, err := p.stat(child)
		if gone(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += own(c) + ended(c)
	}
	return sum, nil
}

// resident is the memory of the whole family: what each has for itself, and once what they share.
func (p processes) resident(f family) (int64, error) {
	var anonymous, file, shared uint64
	for _, pid := range append([]int{f.parent}, f.children...) {
		m, err := p.memory(pid)
		if gone(err) && pid != f.parent {
			continue
		}
		if err != nil {
			return 0, err
		}
		anonymous += m.RssAnon
		file = max(file, m.RssFile)
		shared = max(shared, m.RssShmem)
	}
	return int64(anonymous + file + shared), nil
}

// own is the CPU time of a process, ended that of its children that have ended.
func own(s procfs.ProcStat) time.Duration   { return time.Duration(s.UTime+s.STime) * tick }
func ended(s procfs.ProcStat) time.Duration { return time.Duration(s.CUTime+s.CSTime) * tick }

func (p processes) stat(pid int) (procfs.ProcStat, error) {
	one, err := p.fs.Proc(pid)
	if err != nil {
		return procfs.ProcStat{}, fmt.Errorf("read the process %d: %w", pid, err)
	}
	s, err := one.Stat()
	if err != nil {
		return procfs.ProcStat{}, fmt.Errorf("read the process %d: %w", pid, err)
	}
	return s, nil
}

// memory is what /proc/<pid>/status says of a process, in bytes.
func (p processes) memory(pid int) (procfs.ProcStatus, error) {
	one, err := p.fs.Proc(pid)
	if err != nil {
		return procfs.ProcStatus{}, fmt.Errorf("read the process %d: %w", pid, err)
	}
	s, err := one.NewStatus()
	if err != nil {
		return procfs.ProcStatus{}, fmt.Errorf("read the process %d: %w", pid, err)
	}
	return s, nil
}

// gone reports whether the process ended before it could be read.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
