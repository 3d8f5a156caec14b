package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Tool is a program built from its published Go module, at one version.
type Tool struct {
	Name, Package, Version string
	// module is the tool's module, where several tools are of one, and tags are those that its own makers build it with.
	module, tags string
	// onPath is the name of the program where a person installed it, reports the text that its --version has to show.
	// When they are empty only our own build is used.
	onPath, reports string
	// Takes is a hint of how long a first build takes, worth saying when it is minutes.
	Takes string
}

// The tools of the stack. Their folders carry the version, so a new pin here builds anew by itself.
var (
	TemporalServer = Tool{
		Name: "temporal-server", Package: "go.temporal.io/server/cmd/server", Version: "v1.32.1", module: "go.temporal.io/server",
		// As in the server's own Makefile: without what an archive in Google's storage by gRPC would need, an eighth of all packages.
		tags:   "disable_grpc_modules",
		onPath: "temporal-server", reports: "version 1.32.1", Takes: " (once, three to five minutes)",
	}
	SQLTool = Tool{
		Name: "temporal-sql-tool", Package: "go.temporal.io/server/cmd/tools/sql", Version: TemporalServer.Version, module: TemporalServer.module, tags: TemporalServer.tags,
		onPath: "temporal-sql-tool", reports: TemporalServer.reports, Takes: " (once, a minute or two)",
	}
	TemporalCLI = Tool{
		Name: "temporal", Package: "github.com/temporalio/cli/cmd/temporal", Version: "v1.5.1", Takes: " (once, about two minutes)",
	}
	// WebUI stays at the newest version that builds with the Go of go.mod: 2.56 asks for a later one.
	WebUI = Tool{
		Name: "temporal-ui", Package: "github.com/temporalio/ui-server/v2/cmd/server", Version: "v2.55.0", Takes: " (once)",
	}
)

// Helm checks the chart in deploy/helm. It is no part of the stack.
var Helm = Tool{Name: "helm", Package: "helm.sh/helm/v3/cmd/helm", Version: "v3.22.0", Takes: " (once, about two minutes)"}

// EngineTools are all that the stack is made of, apart from Postgres.
func EngineTools() []Tool { return []Tool{TemporalServer, SQLTool, TemporalCLI, WebUI} }

// compilerCollection keeps the compiler from collecting garbage before it has a gigabyte, which saves a fifth of its time.
var compilerCollection = []string{"GOGC=off", "GOMEMLIMIT=1GiB"}

// Tools builds tools into a folder and finds them there again.
type Tools struct {
	dir string
	out *Printer
}

// NewTools returns the tools kept in dir.
func NewTools(dir string, out *Printer) *Tools { return &Tools{dir: dir, out: out} }

// Path returns where a tool is, once Ensure has seen to it.
func (t *Tools) Path(tool Tool) string {
	if own := tool.installed(); own != "" {
		return own
	}
	return filepath.Join(t.folder(tool), tool.program())
}

func (t *Tools) folder(tool Tool) string { return filepath.Join(t.dir, tool.Name+"-"+tool.Version) }

// majorVersion is the last element of the path of a module that has one.
var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// program is what the go command calls what it builds of the package.
func (tool Tool) program() string {
	dir, last := path.Split(tool.Package)
	if majorVersion.MatchString(last) {
		return path.Base(dir)
	}
	return last
}

// installed returns the tool's path when the machine has this very version.
func (tool Tool) installed() string {
	if tool.onPath == "" {
		return ""
	}
	found, err := exec.LookPath(tool.onPath)
	if err != nil {
		return ""
	}
	said, err := exec.Command(found, "--version").CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(said)), tool.reports) {
		return ""
	}
	return found
}

// Ensure builds the tools that are missing. Those of one module are built in one go, because they share most of their packages.
func (t *Tools) Ensure(ctx context.Context, tools ...Tool) error {
	for _, group := range byModule(t.missing(tools)) {
		names := make([]string, len(group))
		for i, tool := range group {
			names[i] = tool.Name
		}
		what := fmt.Sprintf("building %s %s%s", strings.Join(names, " and "), group[0].Version, group[0].Takes)
		if err := t.out.During(what, func() error { return t.build(ctx, group) }); err != nil {
			return fmt.Errorf("build %s (is the Go module proxy reachable?): %w", names[0], err)
		}
	}
	if slices.Contains(tools, TemporalCLI) {
		return t.link(TemporalCLI)
	}
	return nil
}

// Has reports whether a tool is built.
func (t *Tools) Has(tool Tool) bool { return len(t.missing([]Tool{tool})) == 0 }

func (t *Tools) missing(tools []Tool) []Tool {
	return slices.DeleteFunc(slices.Clone(tools), func(tool Tool) bool {
		_, err := os.Stat(t.Path(tool))
		return err == nil
	})
}

// byModule groups tools that one go command can build: those of one module and version.
func byModule(tools []Tool) [][]Tool {
	var groups [][]Tool
	for _, tool := range tools {
		i := slices.IndexFunc(groups, func(g []Tool) bool {
			return tool.module != "" && g[0].module == tool.module && g[0].Version == tool.Version
		})
		if i < 0 {
			groups = append(groups, []Tool{tool})
			continue
		}
		groups[i] = append(groups[i], tool)
	}
	return groups
}

// build installs into a folder aside and moves each tool's in place, so that a tool is whole or absent however this ends.
func (t *Tools) build(ctx context.Context, group []Tool) error {
	aside := fmt.Sprintf("%s.%d", t.folder(group[0]), os.Getpid())
	defer func() { _ = os.RemoveAll(aside) }()
	// -mod=mod and the like in a person's GOFLAGS make no sense for a versioned install.
	c := command{env: append([]string{"GOBIN=" + aside, "GOFLAGS=", "CGO_ENABLED=0"}, compilerCollection...)}
	args := []string{"install", "-ldflags=-s -w", "-tags=" + group[0].tags}
	for _, tool := range group {
		args = append(args, tool.Package+"@"+tool.Version)
	}
	if err := c.run(ctx, "go", args...); err != nil {
		return err
	}
	for _, tool := range group {
		if err := t.moveIn(aside, tool); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tools) moveIn(aside string, tool Tool) error {
	own := filepath.Join(aside, tool.Name+".d")
	if err := os.Mkdir(own, 0o755); err != nil {
		return fmt.Errorf("keep %s: %w", tool.Name, err)
	}
	program := tool.program()
	if err := os.Rename(filepath.Join(aside, program), filepath.Join(own, program)); err != nil {
		return fmt.Errorf("keep %s: %w", tool.Name, err)
	}
	err := os.Rename(own, t.folder(tool))
	if t.Has(tool) {
		return nil // built here, or by another stack of this checkout a moment ago
	}
	return err
}

// link gives the operator's command line its short name, bin/temporal.
func (t *Tools) link(tool Tool) error {
	short := filepath.Join(t.dir, tool.Name)
	target, err := filepath.Rel(t.dir, t.Path(tool))
	if err != nil {
		return fmt.Errorf("link %s: %w", tool.Name, err)
	}
	if now, err := os.Readlink(short); err == nil && now == target {
		return nil
	}
	// Make the link aside and move it in place: another stack of the checkout may be doing the same.
	aside := fmt.Sprintf("%s.%d", short, os.Getpid())
	if err := os.Symlink(target, aside); err != nil {
		return fmt.Errorf("link %s: %w", tool.Name, err)
	}
	if err := os.Rename(aside, short); err != nil {
		return fmt.Errorf("link %s: %w", tool.Name, err)
	}
	return nil
}
