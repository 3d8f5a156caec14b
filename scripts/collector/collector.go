// Package collector builds the OTLP receiver of the OpenTelemetry collector, which tests send traces to.
package collector

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Version is that of the collector's modules in otlp/go.mod. A new one builds anew.
const Version = "v0.165.0"

// Install returns the path of the program, and builds it where it is missing: once, a minute on two cores. root is the checkout.
func Install(ctx context.Context, root string) (string, error) {
	path := filepath.Join(root, ".waybill", "bin", "otlp-collector-"+Version)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	aside := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(aside) }()
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", aside, ".")
	build.Dir, build.Env = filepath.Join(root, "scripts", "collector", "otlp"), append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the collector (is the Go module proxy reachable?): %w\n%s", err, said)
	}
	return path, os.Rename(aside, path)
}
