//go:build !linux

package main_test

import "syscall"

// dieWithTests has no counterpart here: tests that are killed leave their processes behind.
func dieWithTests() *syscall.SysProcAttr { return nil }
