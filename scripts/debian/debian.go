// Package debian installs packages of Debian, where the user may.
package debian

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// MayInstall reports whether this system has apt and the user is root.
func MayInstall() bool {
	_, err := exec.LookPath("apt-get")
	return err == nil && os.Geteuid() == 0
}

// lockTimeout is for how many seconds apt waits for another installation of the machine.
const lockTimeout = "DPkg::Lock::Timeout=600"

// Install installs packages and what they need, no more. It waits for an installation that is under way.
func Install(ctx context.Context, packages ...string) error {
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, append([]string{"install", "--yes", "--no-install-recommends"}, packages...)...)
}

// Program finds a program on PATH, or installs the package that has it where the user may.
func Program(ctx context.Context, program, pkg string) error {
	if _, err := exec.LookPath(program); err == nil {
		return nil
	}
	if !MayInstall() {
		return fmt.Errorf("no %s found: install it with `sudo apt-get install %s`, then run this again", program, pkg)
	}
	return Install(ctx, pkg)
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", lockTimeout}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said))
	}
	return nil
}

// Extract takes one file out of a package, without installing the package, and leaves it at a path. A package with a server would
// start it.
func Extract(ctx context.Context, pkg, file, to string) error {
	folder, err := os.MkdirTemp("", "debian-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	// Other than apt-get install, download leaves its file in the current folder.
	script := `cd "$1" && apt-get -o "$2" download "$3" && dpkg-deb --fsys-tarfile ./*.deb | tar -xf - "./$4"`
	said, err := exec.CommandContext(ctx, "sh", "-c", script, "sh", folder, lockTimeout, pkg, file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("take %s out of the package %s: %w: %s", file, pkg, err, bytes.TrimSpace(said))
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	// Moved in place, so that it is whole or absent however this ends.
	aside := fmt.Sprintf("%s.%d", to, os.Getpid())
	if err := os.WriteFile(aside, text, 0o755); err != nil {
		return err
	}
	return os.Rename(aside, to)
}
