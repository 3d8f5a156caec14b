package stack

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Child is a process that a script starts, kills and restarts, so it is not part of a stack.
type Child struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

// StartChild starts a command with its output appended to a log. It gets a process group of its own, and on Linux it ends
// with this program, however that ends.
func StartChild(cmd *exec.Cmd, log string) (*Child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", cmd.Path, err)
	}
	defer func() { _ = out.Close() }() // the child holds its own copy
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childAttributes(syscall.SIGKILL, nil)
	c := &Child{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux ends the child when the thread ends that started it, so this one stays.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// PID is the process' id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err returns how the process ended, nil when it ended well. It is set once Done is closed.
func (c *Child) Err() error { return c.err }

// Kill is kill -9. The process is gone when it returns.
func (c *Child) Kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", c.PID(), err)
	}
	<-c.done
	return nil
}

// Stop asks the process to end. One that has not ended after grace is killed, which is an error. Stopping twice does no harm.
func (c *Child) Stop(grace time.Duration) error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop process %d: %w", c.PID(), err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("process %d did not stop within %s and was killed", c.PID(), grace), c.Kill())
	}
}

// Tail returns the end of the log, indented.
func (c *Child) Tail() string { return lastLines(c.log, 15) }
