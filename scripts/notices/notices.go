package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const head = `Waybill is built of the modules below, whose licenses follow. "go run ./scripts/notices" writes this file, and a test
holds it to what the command is built of.
`

// licenseNames are the files of a module that its license asks to be handed on.
var licenseNames = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// unlicensed are modules that are published without a license file, each looked at by a person. This one has the annotations of
// Temporal's own interface definitions, and comes with its SDK.
var unlicensed = []string{"github.com/nexus-rpc/nexus-proto-annotations"}

// module is a line of "go list": the path, the version and the folder.
type module struct{ path, version, dir string }

// notices returns the text for the command as the checkout builds it. A module without a license is an error.
func notices(ctx context.Context, root string) ([]byte, error) {
	modules, err := modulesOf(ctx, root)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString(head)
	for _, m := range modules {
		fmt.Fprintf(&out, "\n%s\n%s %s\n", strings.Repeat("=", 80), m.path, m.version)
		if err := writeLicenses(&out, m); err != nil {
			return nil, err
		}
	}
	if err := writeAssetLicenses(&out, root); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// assetDir has what the dashboard embeds from others, each with its license beside it.
const assetDir = "dashboard/assets"

func writeAssetLicenses(out *bytes.Buffer, root string) error {
	files, err := filepath.Glob(filepath.Join(root, assetDir, "*.LICENSE"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n%s\n%s/%s\n\n%s\n", strings.Repeat("=", 80), assetDir, strings.TrimSuffix(filepath.Base(file), ".LICENSE"), strings.TrimSpace(string(text)))
	}
	return nil
}

// modulesOf lists the modules that have a package in the command, as the image has it.
func modulesOf(ctx context.Context, root string) ([]module, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}} {{.Dir}}{{end}}", "./cmd/waybill")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	listed, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the modules: %w", err)
	}
	var modules []module
	for line := range strings.Lines(string(listed)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		version, dir, found := strings.Cut(rest, " ")
		if found && version != "" && !slices.Contains(modules, module{path, version, dir}) {
			modules = append(modules, module{path, version, dir})
		}
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return modules, nil
}

func writeLicenses(out *bytes.Buffer, m module) error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !licenseNames.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			return fmt.Errorf("%s: %w", m.path, err)
		}
		found = true
		fmt.Fprintf(out, "\n-- %s\n\n%s\n", e.Name(), strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	if !found && slices.Contains(unlicensed, m.path) {
		out.WriteString("\nThe module is published without a license file.\n")
		return nil
	}
	if !found {
		return fmt.Errorf("%s %s has no license file: a module without one cannot be handed on", m.path, m.version)
	}
	return nil
}
