package main

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// longest is how many characters a line or a cell of a table may have: more does not fit a screen.
const longest = 400

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`^#{1,6} (.+)$`)
	// notInAnchor is what GitHub leaves out of a heading's anchor.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// page is a page of documentation without its blocks of code.
type page struct {
	lines   []string
	anchors map[string]bool
}

func readPage(t *testing.T, file string) *page {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	p := &page{anchors: map[string]bool{}}
	code := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "```") {
			code = !code
			continue
		}
		if code {
			continue
		}
		p.lines = append(p.lines, line)
		if m := mdHeading.FindStringSubmatch(line); m != nil {
			p.anchors[anchor(m[1])] = true
		}
	}
	require.False(t, code, "%s: a block of code does not end", file)
	return p
}

// anchor is the name that GitHub gives a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

func docPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	return append(pages, "../../README.md")
}

// Every relative link of the README and of docs leads to a file that is there, and every anchor to a heading.
func TestDocs_Links(t *testing.T) {
	t.Parallel()
	for _, file := range docPages(t) {
		for _, line := range readPage(t, file).lines {
			for _, m := range mdLink.FindAllStringSubmatch(line, -1) {
				require.Empty(t, brokenLink(t, file, m[1]), "%s: %s", file, line)
			}
		}
	}
}

// brokenLink says what is wrong with a link of a page; "" when nothing is, or when it leads out of the repository.
func brokenLink(t *testing.T, file, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		return ""
	}
	target := file
	if u.Path != "" {
		target = filepath.Join(filepath.Dir(file), filepath.FromSlash(u.Path))
	}
	if _, err := os.Stat(target); err != nil {
		return "there is no " + u.Path
	}
	if u.Fragment != "" && !readPage(t, target).anchors[u.Fragment] {
		return target + " has no heading #" + u.Fragment
	}
	return ""
}

func TestDocs_BrokenLink(t *testing.T) {
	t.Parallel()
	for link, wrong := range map[string]string{
		"docs/operating.md": "", "docs/operating.md#shutdown": "", "#two-commands": "", "https://temporal.io/none": "",
		"docs/none.md": "there is no docs/none.md", "docs/operating.md#none": "has no heading #none", "#none": "has no heading #none",
	} {
		require.Contains(t, brokenLink(t, "../../README.md", link), wrong, link)
		require.Equal(t, wrong == "", brokenLink(t, "../../README.md", link) == "", link)
	}
}

// Pages can be read: no line of text and no cell of a table is longer than fits a screen.
func TestDocs_Lines(t *testing.T) {
	t.Parallel()
	for _, file := range docPages(t) {
		for _, line := range readPage(t, file).lines {
			cells := []string{line}
			if strings.HasPrefix(line, "|") {
				cells = strings.Split(line, "|")
			}
			for _, cell := range cells {
				require.LessOrEqual(t, utf8.RuneCountInString(cell), longest, "%s: %s", file, cell)
			}
		}
	}
}

// The README's table of folders lists every folder of code, and none that is gone.
func TestDocs_Folders(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("../..")
	require.NoError(t, err)
	var there, listed []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			there = append(there, e.Name())
		}
	}
	for _, line := range readPage(t, "../../README.md").lines {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "/` |"); ok && strings.HasPrefix(line, "| `") {
			listed = append(listed, cell)
		}
	}
	require.ElementsMatch(t, there, listed)
}
