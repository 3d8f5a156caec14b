// Command packages builds what a release consists of, as goreleaser will, and looks into it: archives, packages for Debian and for rpm,
// checksums, bills of materials. Nothing is published. It stays out of `make test`, because building goreleaser alone takes minutes.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"waybill/scripts/stack"
)

// The tools of a release. goreleaser stays at the newest version whose modules can all be had with the Go of go.mod.
var (
	goreleaser = stack.Tool{
		Name: "goreleaser", Package: "github.com/goreleaser/goreleaser/v2", Version: "v2.16.0", Takes: " (once, about three minutes)",
	}
	cyclonedx = stack.Tool{
		Name: "cyclonedx-gomod", Package: "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod", Version: "v1.10.0", Takes: " (once, a minute)",
	}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	out := stack.NewPrinter(os.Stdout)
	tools := stack.NewTools(filepath.Join(root, ".waybill", "bin"), out)
	if err := tools.Ensure(ctx, goreleaser, cyclonedx); err != nil {
		return err
	}
	for _, args := range [][]string{{"check"}, {"release", "--snapshot", "--clean"}} {
		cmd := exec.CommandContext(ctx, tools.Path(goreleaser), args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(tools.Path(cyclonedx))+":"+os.Getenv("PATH"))
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("goreleaser %s: %w", strings.Join(args, " "), err)
		}
	}
	dist := filepath.Join(root, ".waybill", "dist")
	if err := errors.Join(checkSums(dist), checkBills(dist), checkDebs(ctx, dist), checkRPMs(dist)); err != nil {
		return err
	}
	out.Say(".waybill/dist has the packages, and they are whole.")
	return nil
}

// checkSums compares SHA256SUMS with the files, which are all that is published.
func checkSums(dist string) error {
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	// Four archives, and two packages and four bills for what they are of.
	if len(lines) != 12 {
		return fmt.Errorf("SHA256SUMS has %d lines, not 12: four archives, four packages, four bills of materials", len(lines))
	}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		content, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			return err
		}
		if got := sha256.Sum256(content); hex.EncodeToString(got[:]) != sum {
			return fmt.Errorf("%s has another checksum than SHA256SUMS says", name)
		}
	}
	return nil
}

// checkBills looks for a module in each bill of materials that every binary is made of.
func checkBills(dist string) error {
	bills, err := filepath.Glob(filepath.Join(dist, "*.cdx.json"))
	if err != nil {
		return err
	}
	for _, bill := range bills {
		content, err := os.ReadFile(bill)
		if err != nil {
			return err
		}
		var b struct {
			Components []struct{ Name, Version string }
		}
		if err := json.Unmarshal(content, &b); err != nil {
			return fmt.Errorf("%s: %w", bill, err)
		}
		if !slices.ContainsFunc(b.Components, func(c struct{ Name, Version string }) bool { return c.Name == "go.temporal.io/sdk" && c.Version != "" }) {
			return fmt.Errorf("%s does not name go.temporal.io/sdk", bill)
		}
	}
	return nil
}
