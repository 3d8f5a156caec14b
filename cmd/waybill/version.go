package main

import (
	"runtime/debug"
)

// release and revision are set by the linker where the build has no checkout to take them from, as in the Dockerfile.
var release, revision string

// version names this build: its module's version, which the go command takes from the tag or the commit, or else the commit; "": the
// build does not know.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return short(revision)
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return short(s.Value)
		}
	}
	return short(revision)
}

// short is what people write of a commit.
func short(commit string) string { return commit[:min(12, len(commit))] }
