package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU time in /proc/<pid>/stat: USER_HZ is 100 wherever Linux runs.
const tick = 10 * time.Millisecond

// procFS reads the processes below a folder, as a rule /proc.
type procFS string

// stat is what /proc/<pid>/stat says of a process.
type stat struct {
	parent int
	// own is the CPU time of the process, reaped that of its children that have ended.
	own, reaped time.Duration
}

// parseStat reads the line of proc_pid_stat(5).
func parseStat(line []byte) (stat, error) {
	// The second field is the command in parentheses and may hold spaces and parentheses of its own.
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errors.New("no command in parentheses")
	}
	fields := strings.Fields(string(line[end+1:]))
	const parent, user, reapedSystem = 4 - 3, 14 - 3, 17 - 3 // what is left begins with field 3
	if len(fields) <= reapedSystem {
		return stat{}, fmt.Errorf("%d fields after the command are too few", len(fields))
	}
	var s stat
	var err error
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return stat{}, fmt.Errorf("parent: %w", err)
	}
	var ticks [4]int64
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(fields[user+i], 10, 64); err != nil {
			return stat{}, fmt.Errorf("CPU time: %w", err)
		}
	}
	s.own = time.Duration(ticks[0]+ticks[1]) * tick
	s.reaped = time.Duration(ticks[2]+ticks[3]) * tick
	return s, nil
}

// memory is what /proc/<pid>/status says of a process, in bytes.
type memory struct {
	anonymous, file, shared int64
	// peak is the most that all three ever were together.
	peak int64
}

func parseStatus(text []byte) (memory, error) {
	var m memory
	fields := map[string]*int64{"RssAnon": &m.anonymous, "RssFile": &m.file, "RssShmem": &m.shared, "VmHWM": &m.peak}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		field := fields[name]
		if field == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return memory{}, fmt.Errorf("%s: %w", name, err)
		}
		*field = kib << 10
	}
	return m, lines.Err()
}

// family is a process with its children, as of one moment.
type family struct {
	parent   int
	children []int
}

// families finds the children that each of the processes has now.
func (p procFS) families(parents []int) ([]family, error) {
	all := make([]family, len(parents))
	place := make(map[int]int, len(parents))
	for i, pid := range parents {
		all[i].parent = pid
		place[pid] = i
	}
	entries, err := os.ReadDir(string(p))
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		s, err := p.stat(pid)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if i, ok := place[s.parent]; ok {
			all[i].children = append(all[i].children, pid)
		}
	}
	return all, nil
}

// cpu is the CPU time of the whole family, and if reaped is set, of those too that have ended: they passed theirs on to
// their parent.
func (p procFS) cpu(f family, reaped bool) (time.Duration, error) {
	s, err := p.stat(f.parent)
	if err != nil {
		return 0, err
	}
	sum := s.own
	if reaped {
		sum += s.reaped
	}
	for _, child := range f.children {
		c, err := p.stat(child)
		if gone(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum += c.own + c.reaped
	}
	return sum, nil
}

// resident is the memory of the whole family: what each has for itself, and once what they share.
func (p procFS) resident(f family) (int64, error) {
	var sum memory
	for _, pid := range append([]int{f.parent}, f.children...) {
		m, err := p.memory(pid)
		if gone(err) && pid != f.parent {
			continue
		}
		if err != nil {
			return 0, err
		}
		sum.anonymous += m.anonymous
		sum.file = max(sum.file, m.file)
		sum.shared = max(sum.shared, m.shared)
	}
	return sum.anonymous + sum.file + sum.shared, nil
}

func (p procFS) stat(pid int) (stat, error) {
	line, err := os.ReadFile(p.file(pid, "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("read a process: %w", err)
	}
	s, err := parseStat(line)
	if err != nil {
		return stat{}, fmt.Errorf("read %s: %w", p.file(pid, "stat"), err)
	}
	return s, nil
}

func (p procFS) memory(pid int) (memory, error) {
	text, err := os.ReadFile(p.file(pid, "status"))
	if err != nil {
		return memory{}, fmt.Errorf("read a process: %w", err)
	}
	m, err := parseStatus(text)
	if err != nil {
		return memory{}, fmt.Errorf("read %s: %w", p.file(pid, "status"), err)
	}
	return m, nil
}

func (p procFS) file(pid int, name string) string {
	return filepath.Join(string(p), strconv.Itoa(pid), name)
}

// gone reports whether the process ended before it could be read.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }
