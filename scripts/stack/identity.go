package stack

import (
	"errors"
	"syscall"
)

// identity names one process for good: a process id alone is given to somebody else sooner or later.
type identity struct {
	PID int `json:"pid"`
	// Started is when the process began, in the system's own terms; only its equality means anything.
	Started string `json:"started"`
}

// identify returns the identity of a running process.
func identify(pid int) (identity, error) {
	started, err := startTime(pid)
	return identity{PID: pid, Started: started}, err
}

// alive reports whether this very process still runs.
func (id identity) alive() bool {
	if id.PID <= 1 || id.Started == "" {
		return false
	}
	if err := syscall.Kill(id.PID, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	started, err := startTime(id.PID)
	return err == nil && started == id.Started
}

// signalGroup signals the process and the group it leads. A process that is gone is no error.
func (id identity) signalGroup(sig syscall.Signal) error {
	if !id.alive() {
		return nil
	}
	target := id.PID
	if group, err := syscall.Getpgid(id.PID); err == nil && group == id.PID {
		target = -id.PID
	}
	if err := syscall.Kill(target, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
