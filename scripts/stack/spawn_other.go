//go:build !linux

package stack

import "syscall"

// childAttributes puts a child into a process group of its own, so that Ctrl-C in the terminal reaches the runner
// alone. Should the runner be killed, the child lives on until the next run ends it.
func childAttributes(_ syscall.Signal, who *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: who.credential()}
}
