package main

import "syscall"

// childAttributes puts a child into a process group of its own, so that Ctrl-C in the terminal reaches this program
// alone, and has the kernel end it should this program be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
