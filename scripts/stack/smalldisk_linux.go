package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// A small disk is a file system in memory, in the place of Postgres' data folder; the folder waits beside it.
const (
	besideSmallDisk = ".disk"
	filler          = "filler"
	pageSize        = 4096
)

// SmallDiskPossible returns why there can be no small disk here: mounting takes root on Linux, which some containers restrict.
func SmallDiskPossible() error {
	dir, err := os.MkdirTemp("", "waybill-mount-")
	if err != nil {
		return err
	}
	err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
	if err == nil {
		err = syscall.Unmount(dir, 0)
	}
	if err = errors.Join(err, os.Remove(dir)); err != nil {
		return fmt.Errorf("a small disk is mounted, which takes root: %w", err)
	}
	return nil
}

// EnterSmallDisk moves the data of Postgres, which must not run, to a disk with so many bytes free.
func (s *Stack) EnterSmallDisk(free int64) error {
	data, err := s.notedDataDir()
	if err != nil {
		return err
	}
	used, err := diskUsage(data)
	if err != nil {
		return fmt.Errorf("enter a small disk: %w", err)
	}
	who, err := postgresAccount()
	if err != nil {
		return err
	}
	if err := os.Rename(data, data+besideSmallDisk); err != nil {
		return fmt.Errorf("enter a small disk: %w", err)
	}
	err = os.Mkdir(data, 0o700)
	if err == nil {
		err = syscall.Mount("tmpfs", data, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", used+free))
	}
	if err == nil {
		err = errors.Join(who.give(data), copyFolder(data+besideSmallDisk, data))
	}
	if err != nil {
		return fmt.Errorf("enter a small disk: %w", err)
	}
	return nil
}

// FillSmallDisk takes all of the disk that is free.
func (s *Stack) FillSmallDisk() error {
	data, err := s.notedDataDir()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(data, filler), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("fill the small disk: %w", err)
	}
	for page := make([]byte, pageSize); err == nil; {
		_, err = f.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the small disk: %w", errors.Join(err, f.Close()))
	}
	return f.Close()
}

// FreeSmallDisk gives back what was taken.
func (s *Stack) FreeSmallDisk() error {
	data, err := s.notedDataDir()
	if err != nil {
		return err
	}
	return os.Remove(filepath.Join(data, filler))
}

// LeaveSmallDisk moves the data of Postgres, which must not run, back to where it was.
func (s *Stack) LeaveSmallDisk() error {
	data, err := s.notedDataDir()
	if err != nil {
		return err
	}
	aside := data + besideSmallDisk
	who, err := postgresAccount()
	if err != nil {
		return err
	}
	// Only what is on the small disk counts from here on.
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("leave the small disk: %w", err)
	}
	if err := os.Mkdir(aside, 0o700); err != nil {
		return fmt.Errorf("leave the small disk: %w", err)
	}
	err = errors.Join(who.give(aside), copyFolder(data, aside))
	if err == nil {
		err = syscall.Unmount(data, 0)
	}
	if err == nil {
		err = os.Remove(data)
	}
	if err != nil {
		return fmt.Errorf("leave the small disk: %w", err)
	}
	return os.Rename(aside, data)
}

// leaveSmallDisk removes a small disk with what is on it, and the data aside, if there are any.
func leaveSmallDisk(data string) error {
	if data == "" {
		return nil
	}
	aside := data + besideSmallDisk
	if _, err := os.Stat(aside); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// A process that is about to end may still have a file open.
	if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("unmount the small disk: %w", err)
	}
	return os.RemoveAll(aside)
}

func copyFolder(from, to string) error {
	out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput() //nolint:noctx // half a copy is of no use
	if err != nil {
		return fmt.Errorf("copy the data: %w: %s", err, out)
	}
	return nil
}

// diskUsage returns what a folder takes in memory, in whole pages.
func diskUsage(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		sum += (info.Size() + 2*pageSize - 1) / pageSize * pageSize
		return nil
	})
	return sum, err
}
