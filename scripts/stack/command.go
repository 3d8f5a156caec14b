package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// command is a short-lived program, run to its end.
type command struct {
	dir string
	env []string
	who *account
}

// run runs a program in a process group of its own, ends the whole group when the context is done. On
// failure the error has the end of the output.
func (c command) run(ctx context.Context, name string, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.who.credential()}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		said := strings.Join(lines[max(0, len(lines)-20):], "\n    ")
		return fmt.Errorf("%s %s: %w:\n    %s", filepath.Base(name), args[0], err, said)
	}
	return nil
}
