// Package stranger verifies what Waybill sends with implementations that are not Waybill's: the npm packages of Standard Webhooks and
// Svix, one of HTTP Message Signatures, and Node's own Ed25519.
package stranger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// files are the program and the packages that it needs, at versions that the lock file pins.
//
//go:embed testdata/package.json testdata/package-lock.json testdata/verify.mjs
var files embed.FS

// oldestNode is the first major version of Node that the packages run on.
const oldestNode = 18

// Install makes the program ready in a folder below dir and returns the folder. It does nothing when it is ready already; otherwise it
// takes the packages from the npm registry, and Node from apt where the user is root. Processes that call it at once wait for one.
func Install(ctx context.Context, dir string) (string, error) {
	folder := filepath.Join(dir, "stranger-"+version())
	if ready(folder) {
		return folder, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "stranger.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("wait for another installation: %w", err)
	}
	if ready(folder) {
		return folder, nil
	}
	if err := requireNode(ctx); err != nil {
		return "", err
	}
	return folder, fill(ctx, folder)
}

const readyFile = "ready"

func ready(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, readyFile))
	return err == nil
}

// version names the content, so that a change of it installs anew.
func version() string {
	all := sha256.New()
	_ = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			content, _ := files.ReadFile(path)
			all.Write(content)
		}
		return err
	})
	return hex.EncodeToString(all.Sum(nil))[:12]
}

func fill(ctx context.Context, folder string) error {
	content, err := fs.Sub(files, "testdata")
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.CopyFS(folder, content); err != nil {
		return err
	}
	// No package runs a program of its own at its installation.
	if err := run(ctx, folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		return fmt.Errorf("install the npm packages that verify signatures: %w", err)
	}
	return os.WriteFile(filepath.Join(folder, readyFile), nil, 0o644)
}

// requireNode finds Node and npm, or installs them where this user may.
func requireNode(ctx context.Context) error {
	missing := nodeFault(ctx)
	if missing == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("%w: install it with `sudo apt-get install nodejs npm` or `brew install node`, then run this again", missing)
	}
	for _, args := range [][]string{{"update"}, {"install", "--yes", "--no-install-recommends", "nodejs", "npm"}} {
		if err := run(ctx, "", "apt-get", args...); err != nil {
			return fmt.Errorf("install Node (try it by hand: apt-get install nodejs npm): %w", err)
		}
	}
	return nodeFault(ctx)
}

// nodeFault says why Node or npm cannot be used; nil: they can.
func nodeFault(ctx context.Context) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("no npm found, whose packages verify signatures in the tests")
	}
	said, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return fmt.Errorf("no Node of version %d or later found, which verifies signatures in the tests", oldestNode)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(said), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		return fmt.Errorf("the Node found is %s; the tests need version %d or later", bytes.TrimSpace(said), oldestNode)
	}
	return nil
}

func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(said))
	}
	return nil
}
