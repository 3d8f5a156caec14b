package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// extractOf finds the file that a block of code says it is from.
var extractOf = regexp.MustCompile(`From \[[^\]]+\]\(([^)]+)\):$`)

// A block of code that says which file it is from is in that file, to the letter.
func TestDocs_Extracts(t *testing.T) {
	t.Parallel()
	for _, file := range docPages(t) {
		for _, b := range readPage(t, file).blocks {
			from := extractOf.FindStringSubmatch(b.before)
			programs := slices.Contains([]string{"js", "python", "go", "csharp"}, b.language) && filepath.Base(file) == "receiving.md"
			require.False(t, programs && from == nil, "%s: nobody knows which file this is from, so that no test runs it:\n%s", file, b.text)
			if from == nil {
				continue
			}
			source, err := os.ReadFile(filepath.Join(filepath.Dir(file), from[1]))
			require.NoError(t, err)
			require.Contains(t, string(source), b.text, "%s: this is not in %s any more", file, from[1])
		}
	}
}

// Every dialect has a sample in every language, and docs/receiving.md leads to every sample.
func TestDocs_Samples(t *testing.T) {
	t.Parallel()
	linked := readPage(t, "../../docs/receiving.md").linked()
	dialects, err := filepath.Glob("../../schemas/dialects/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, dialects)
	for _, dialect := range dialects {
		name := strings.TrimSuffix(filepath.Base(dialect), ".json")
		for _, sample := range []string{
			"node/" + name + ".mjs", "python/" + strings.ReplaceAll(name, "-", "_") + ".py", "go/" + name + "/main.go", "csharp/" + name + ".cs",
		} {
			require.FileExists(t, "../../docs/receiving/"+sample)
		}
	}
	require.NoError(t, fs.WalkDir(os.DirFS("../../docs"), "receiving", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			require.Contains(t, linked, path, "docs/receiving.md leads to no %s", path)
		}
		return err
	}))
}
