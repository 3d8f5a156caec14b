package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// takeoverGrace covers a whole orderly shutdown of an earlier runner.
const takeoverGrace = 2 * leftoverGrace

// holder says who holds a state folder.
type holder struct {
	Runner identity `json:"runner"`
	// Parent is the process that started the runner, usually make.
	Parent identity `json:"parent"`
}

// takeLock makes this program the only runner of a state folder. The kernel drops the lock with the program, however
// it ends. When make was killed, nobody is left to press Ctrl-C for its runner, so that runner is asked to stop.
func takeLock(ctx context.Context, runDir string, out *Printer) (*os.File, error) {
	path := filepath.Join(runDir, "lock")
	lock, err := tryLock(path, os.O_CREATE)
	if errors.Is(err, errLocked) {
		lock, err = takeOver(ctx, path, out)
	}
	if err != nil {
		return nil, err
	}
	var h holder
	if h.Runner, err = identify(os.Getpid()); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	// It is unknown when the parent is gone already; then nobody waits for this runner either.
	h.Parent, _ = identify(os.Getppid())
	data, err := json.Marshal(h)
	if err == nil {
		err = lock.Truncate(0)
	}
	if err == nil {
		_, err = lock.WriteAt(data, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the lock: %w", err), lock.Close())
	}
	return lock, nil
}

// errLocked means that another living program holds the lock.
var errLocked = errors.New("the lock is held")

// tryLock takes a lock, whose file it makes where create is os.O_CREATE and not 0.
func tryLock(path string, create int) (*os.File, error) {
	lock, err := os.OpenFile(path, create|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), lock.Close())
}

// awaitLock takes a lock that nobody holds for long, and waits for it. The folder is made where it is not there.
func awaitLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), lock.Close())
		}
	}
}

// takeOver asks a runner whose starter is gone to stop and waits for its lock. Any other runner keeps it.
func takeOver(ctx context.Context, path string, out *Printer) (*os.File, error) {
	var h holder
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the lock: %w", err)
	}
	// It cannot be read while the holder has only just begun.
	if err := json.Unmarshal(data, &h); err != nil || h.Parent.alive() {
		return nil, fmt.Errorf("the stack of this checkout is up already: use it, or end it with: kill %d", h.Runner.PID)
	}
	out.Say("ending a runner whose starter is gone (process %d)", h.Runner.PID)
	if h.Runner.alive() {
		if err := syscall.Kill(h.Runner.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return nil, fmt.Errorf("end the earlier runner: %w", err)
		}
	}
	var lock *os.File
	err = until(ctx, "the earlier runner to end", takeoverGrace, func(context.Context) (err error) {
		lock, err = tryLock(path, os.O_CREATE)
		return err
	}, nil)
	return lock, err
}
