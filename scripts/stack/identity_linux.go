package stack

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// startTime returns the boot the process belongs to and the clock tick it began at. It reads /proc, because
// a bare container has no ps.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("identify process %d: %w", pid, err)
	}
	// The second field is the command in parentheses and may hold spaces and parentheses of its own.
	_, rest, _ := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(" "))
	fields := strings.Fields(string(rest))
	const state, startTick = 0, 19 // fields 3 and 22 of proc_pid_stat(5)
	if len(fields) <= startTick {
		return "", fmt.Errorf("identify process %d: unexpected /proc/%d/stat", pid, pid)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return "", fmt.Errorf("identify process %d: it has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("identify process %d: %w", pid, err)
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[startTick], nil
}
