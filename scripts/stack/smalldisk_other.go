//go:build !linux

package stack

import "errors"

var errNoSmallDisk = errors.New("a small disk is made on Linux only")

// SmallDiskPossible returns why there can be no small disk here.
func SmallDiskPossible() error { return errNoSmallDisk }

// EnterSmallDisk fails: see SmallDiskPossible.
func (s *Stack) EnterSmallDisk(int64) error { return errNoSmallDisk }

// FillSmallDisk fails: see SmallDiskPossible.
func (s *Stack) FillSmallDisk() error { return errNoSmallDisk }

// FreeSmallDisk fails: see SmallDiskPossible.
func (s *Stack) FreeSmallDisk() error { return errNoSmallDisk }

// LeaveSmallDisk fails: see SmallDiskPossible.
func (s *Stack) LeaveSmallDisk() error { return errNoSmallDisk }

func leaveSmallDisk(string) error { return nil }
