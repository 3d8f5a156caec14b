// Package promtool finds or installs Prometheus' own checker, which says whether metrics, alert rules and queries are in order.
package promtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"waybill/scripts/debian"
)

// kept is where the checkout keeps the program.
func kept(checkout string) string { return filepath.Join(checkout, ".waybill", "bin", "promtool") }

// Find returns the path of promtool: the machine's, or the one that Install left in the checkout.
func Find(checkout string) (string, error) {
	if path, err := exec.LookPath("promtool"); err == nil {
		return path, nil
	}
	// Absolute, because it runs in other folders.
	path, err := filepath.Abs(kept(checkout))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return "", errors.New("no promtool found, with which the tests check metrics and alerts")
}

// Install makes promtool ready: it finds what is there, and takes it out of Debian's package where the user is root, which is seconds;
// a build of Prometheus' module takes many minutes.
func Install(ctx context.Context, checkout string) error {
	_, missing := Find(checkout)
	if missing == nil {
		return nil
	}
	if !debian.MayInstall() {
		return fmt.Errorf("%w: install it with `sudo apt-get install prometheus` or `brew install prometheus`, then run this again", missing)
	}
	return debian.Extract(ctx, "prometheus", "usr/bin/promtool", kept(checkout))
}

// Run runs promtool in a folder with some input, and returns an error with what it says when it finds something wrong.
func Run(ctx context.Context, checkout, folder string, input []byte, args ...string) error {
	path, err := Find(checkout)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stdin = folder, bytes.NewReader(input)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("promtool %s: %w: %s", args[0], err, bytes.TrimSpace(said))
	}
	return nil
}
