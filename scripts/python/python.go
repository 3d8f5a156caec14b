// Package python finds Python, in which samples of docs/receiving are written, or installs it.
package python

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"waybill/scripts/debian"
)

// Install makes python3 ready: it finds what is there, and takes Debian's package where the user is root.
func Install(ctx context.Context) error {
	missing := fault(ctx)
	if missing == nil {
		return nil
	}
	if !debian.MayInstall() {
		return fmt.Errorf("%w: install it with `sudo apt-get install python3` or `brew install python`, then run this again", missing)
	}
	if err := debian.Install(ctx, "python3"); err != nil {
		return fmt.Errorf("install Python (try it by hand: apt-get install python3): %w", err)
	}
	return fault(ctx)
}

// fault says why Python cannot be used; nil: it can.
func fault(ctx context.Context) error {
	// The oldest version that the samples run on is the one that has removeprefix.
	if err := exec.CommandContext(ctx, "python3", "-c", "''.removeprefix('')").Run(); err != nil {
		return errors.New("no Python of version 3.9 or later found, which the tests use")
	}
	return nil
}
