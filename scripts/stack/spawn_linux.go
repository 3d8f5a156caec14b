package stack

import "syscall"

// childAttributes puts a child into a process group of its own, so that Ctrl-C in the terminal reaches the runner
// alone, and has the kernel end it should the runner be killed.
func childAttributes(onRunnerDeath syscall.Signal, who *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onRunnerDeath, Credential: who.credential()}
}
