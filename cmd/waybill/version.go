package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"waybill/cmd/waybill/cli"
)

// release and revision are set by the linker where the build has no checkout to take them from, as in the Dockerfile. Nothing else writes
// them.
var release, revision string

// build names a build of this program.
type build struct {
	// Version is the release, or what the go command takes from the tag or the commit; "": the build does not know.
	Version string `json:"version"`
	// Revision is the commit, and Time when it was made. Modified says that the files were changed since.
	Revision string     `json:"revision"`
	Time     *time.Time `json:"time,omitempty"`
	Modified bool       `json:"modified"`
	Go       string     `json:"go"`
	OS       string     `json:"os"`
	Arch     string     `json:"arch"`
}

func thisBuild() build {
	b := build{Version: release, Revision: revision, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = cmp.Or(b.Revision, s.Value)
		case "vcs.time":
			if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
				b.Time = &at
			}
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if v := info.Main.Version; v != "(devel)" {
		b.Version = cmp.Or(b.Version, v)
	}
	b.Version = cmp.Or(b.Version, b.Revision[:min(12, len(b.Revision))])
	return b
}

// String is the build in words.
func (b build) String() string {
	text := "waybill " + cmp.Or(b.Version, "of an unknown version")
	if b.Revision != "" {
		text += ", revision " + b.Revision
	}
	if b.Modified {
		text += ", changed since"
	}
	return fmt.Sprintf("%s, %s, %s/%s", text, b.Go, b.OS, b.Arch)
}

func newVersion(i invocation) *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Which build this is",
		Long:    "Tells the version of this program, the revision of its source, and the Go and the system that it was built with and for.",
		Example: "  waybill version\n  waybill version -o json",
		GroupID: groupOther,
		Args:    noArguments,
	}
	format := cli.AddFormat(c)
	c.RunE = func(*cobra.Command, []string) error {
		b := thisBuild()
		if format.JSON() {
			return cli.WriteJSON(i.out, b)
		}
		fmt.Fprintln(i.out, b)
		return nil
	}
	return c
}
