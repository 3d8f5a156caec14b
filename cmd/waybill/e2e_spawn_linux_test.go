package main_test

import "syscall"

// dieWithTests makes the kernel end a process whose tests are gone, however they ended.
func dieWithTests() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
