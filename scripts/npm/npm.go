// Package npm installs packages of npm for the tests, at versions that a lock file pins.
package npm

import (
	"bytes"
	"context"
	"crypto/sha256"
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

	"waybill/scripts/debian"
)

// Dir is where a checkout keeps the packages.
const Dir = ".waybill/npm"

// Set is a set of packages.
type Set struct {
	// Name names the folder, For says in errors what the packages are for.
	Name, For string
	// Files has package.json, package-lock.json and what else the folder is to have.
	Files fs.FS
}

// Install makes the packages ready in a folder of the checkout and returns the folder. It does nothing when they are ready already;
// otherwise it takes them from the npm registry, and Node from apt where the user is root. Processes that call it at once wait for one.
func (s Set) Install(ctx context.Context, checkout string) (string, error) {
	dir := filepath.Join(checkout, Dir)
	version, err := s.version()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(dir, s.Name+"-"+version)
	if ready(folder) {
		return folder, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
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
	return folder, s.fill(ctx, folder)
}

const readyFile = "ready"

func ready(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, readyFile))
	return err == nil
}

// version names the content, so that a change of it installs anew.
func (s Set) version() (string, error) {
	all := sha256.New()
	err := fs.WalkDir(s.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(s.Files, path)
		all.Write(content)
		return err
	})
	return hex.EncodeToString(all.Sum(nil))[:12], err
}

func (s Set) fill(ctx context.Context, folder string) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.CopyFS(folder, s.Files); err != nil {
		return err
	}
	// No package runs a program of its own at its installation.
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = folder
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("install the npm packages that %s: %w: %s", s.For, err, bytes.TrimSpace(said))
	}
	return os.WriteFile(filepath.Join(folder, readyFile), nil, 0o644)
}

// oldestNode is the first major version of Node that the packages run on.
const oldestNode = 18

// requireNode finds Node and npm, or installs them where this user may.
func requireNode(ctx context.Context) error {
	missing := nodeFault(ctx)
	if missing == nil {
		return nil
	}
	if !debian.MayInstall() {
		return fmt.Errorf("%w: install it with `sudo apt-get install nodejs npm` or `brew install node`, then run this again", missing)
	}
	if err := debian.Install(ctx, "nodejs", "npm"); err != nil {
		return fmt.Errorf("install Node (try it by hand: apt-get install nodejs npm): %w", err)
	}
	return nodeFault(ctx)
}

// nodeFault says why Node or npm cannot be used; nil: they can.
func nodeFault(ctx context.Context) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("no npm found, whose packages the tests use")
	}
	said, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return fmt.Errorf("no Node of version %d or later found, which the tests use", oldestNode)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(said), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		return fmt.Errorf("the Node found is %s; the tests need version %d or later", bytes.TrimSpace(said), oldestNode)
	}
	return nil
}
