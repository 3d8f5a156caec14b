//go:build !linux

package main

import "syscall"

// childAttributes puts a child into a process group of its own. Elsewhere than on Linux a killed suite leaves it behind.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
