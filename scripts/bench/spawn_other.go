//go:build !linux

package main

import "syscall"

// childAttributes puts a child into a process group of its own. The benchmark runs on Linux only, see checkMachine.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
