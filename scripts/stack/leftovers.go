package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// leftoverGrace is how long a leftover may take to end in good order.
const leftoverGrace = 30 * time.Second

// record is what a .pid file says of a child.
type record struct {
	identity
	// Stop is the signal that ends it when its runner is gone.
	Stop int `json:"stop"`
}

func writeRecord(path string, r any) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record a process: %w", err)
	}
	if err := writeWhole(path, data, 0o644); err != nil {
		return fmt.Errorf("record a process: %w", err)
	}
	return nil
}

func readRecord(path string) (record, error) {
	var r record
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

// endLeftovers ends the children that an earlier, killed run of the same state folder left running, and nobody else:
// a record whose process id now belongs to another process is dropped unread.
func endLeftovers(ctx context.Context, runDir string, out *Printer) error {
	paths, err := filepath.Glob(filepath.Join(runDir, "*.pid"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		r, err := readRecord(path)
		if err == nil && r.alive() {
			name := strings.TrimSuffix(filepath.Base(path), ".pid")
			out.Say("ending %s (process %d), left over from an earlier run", name, r.PID)
			err = end(ctx, r)
		}
		// A damaged record names nobody; the port check that follows finds whatever is still there.
		var damaged *json.SyntaxError
		if err != nil && !errors.As(err, &damaged) {
			return fmt.Errorf("end what an earlier run left: %w", err)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("end what an earlier run left: %w", err)
		}
	}
	return nil
}

// end stops a process that is not our child: politely, then by force.
func end(ctx context.Context, r record) error {
	// Pdeathsig may have told it already; a second time does no harm.
	if err := syscall.Kill(r.PID, syscall.Signal(r.Stop)); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop process %d: %w", r.PID, err)
	}
	gone := func(context.Context) error {
		if r.alive() {
			return fmt.Errorf("process %d still runs", r.PID)
		}
		return nil
	}
	if until(ctx, "a leftover to end", leftoverGrace, gone, nil) == nil {
		return nil
	}
	if err := r.signalGroup(syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill process %d: %w", r.PID, err)
	}
	return until(ctx, "a leftover to end", leftoverGrace, gone, nil)
}
