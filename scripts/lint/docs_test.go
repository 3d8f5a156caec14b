package main

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// root is the checkout.
const root = "../.."

// longest is how many characters a line or a cell of a table may have: more does not fit a screen.
const longest = 400

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mdHeading = regexp.MustCompile(`^#{1,6} (.+)$`)
	mdFence   = regexp.MustCompile("^ *```(.*)$")
	// notInAnchor is what GitHub leaves out of a heading's anchor.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// languages are those that a block of code may be in; "" is none: output, a diagram.
var languages = []string{"", "sh", "sql", "json", "yaml", "toml", "ini", "nginx", "http", "promql", "js", "python", "go", "csharp"}

// page is a page of documentation, its text apart from its blocks of code.
type page struct {
	lines   []string
	anchors map[string]bool
	blocks  []block
}

// block is a block of code; before is the paragraph above it, on one line.
type block struct{ language, before, text string }

func readPage(t *testing.T, file string) *page {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	p := &page{anchors: map[string]bool{}}
	var code *block
	for line := range strings.Lines(string(text)) {
		fence := mdFence.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		switch {
		case fence != nil && code == nil:
			code = &block{language: fence[1], before: p.paragraph()}
		case fence != nil:
			p.blocks, code = append(p.blocks, *code), nil
		case code != nil:
			code.text += line
		default:
			p.add(strings.TrimRight(line, "\r\n"))
		}
	}
	require.Nil(t, code, "%s: a block of code does not end", file)
	return p
}

func (p *page) add(line string) {
	p.lines = append(p.lines, line)
	if m := mdHeading.FindStringSubmatch(line); m != nil {
		p.anchors[anchor(m[1])] = true
	}
}

// paragraph is the last one so far.
func (p *page) paragraph() string {
	end := len(p.lines)
	for end > 0 && p.lines[end-1] == "" {
		end--
	}
	begin := end
	for begin > 0 && p.lines[begin-1] != "" {
		begin--
	}
	return strings.Join(p.lines[begin:end], " ")
}

// anchor is the name that GitHub gives a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// docPages are all pages of the checkout: its own, those of docs, deploy, client and wherever else there is one.
func docPages(t *testing.T) []string {
	t.Helper()
	var pages []string
	require.NoError(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (path != root && strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "node_modules"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			pages = append(pages, path)
		}
		return nil
	}))
	require.Contains(t, pages, filepath.Join(root, "README.md"))
	require.Contains(t, pages, filepath.Join(root, "docs", "README.md"))
	return pages
}

// Every relative link of a page leads to a file that is there, and every anchor to a heading; a link to elsewhere is to https.
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

// brokenLink says what is wrong with a link of a page; "" when nothing is. Whether a page of somebody else is still there, it does not ask.
func brokenLink(t *testing.T, file, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme == "mailto" && strings.Contains(u.Opaque, "@"):
		return ""
	case u.Scheme != "" || u.Host != "":
		if u.Scheme != "https" || !strings.Contains(u.Hostname(), ".") || u.User != nil {
			return "not https and a host"
		}
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
		"docs/operating.md": "", "docs/operating.md#shutdown": "", "#two-commands": "", "https://temporal.io/none": "", "mailto:a@b.example": "",
		"docs/none.md": "there is no docs/none.md", "docs/operating.md#none": "has no heading #none", "#none": "has no heading #none",
		"http://temporal.io": "not https", "https://temporal": "not https and a host", "https:temporal.io": "not https", "//temporal.io": "not https",
		"https://user@temporal.io": "not https", "htps://temporal.io": "not https",
	} {
		require.Contains(t, brokenLink(t, "../../README.md", link), wrong, link)
		require.Equal(t, wrong == "", brokenLink(t, "../../README.md", link) == "", link)
	}
}

// Pages can be read: no line of text and no cell of a table is longer than fits a screen, and code says what it is in.
func TestDocs_Lines(t *testing.T) {
	t.Parallel()
	for _, file := range docPages(t) {
		p := readPage(t, file)
		for _, line := range p.lines {
			cells := []string{line}
			if strings.HasPrefix(line, "|") {
				cells = strings.Split(line, "|")
			}
			for _, cell := range cells {
				require.LessOrEqual(t, utf8.RuneCountInString(cell), longest, "%s: %s", file, cell)
			}
		}
		for _, b := range p.blocks {
			require.Contains(t, languages, b.language, "%s: the language of a block of code", file)
		}
	}
}

// The README's table of folders lists every folder of code, and none that is gone.
func TestDocs_Folders(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root)
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

// linked are the files that a page links to, from the folder docs.
func (p *page) linked() []string {
	var all []string
	for _, line := range p.lines {
		for _, m := range mdLink.FindAllStringSubmatch(line, -1) {
			path, _, _ := strings.Cut(m[1], "#")
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A reader finds every page of docs by its index, and each page says at its beginning what it is and for whom.
func TestDocs_Index(t *testing.T) {
	t.Parallel()
	indexed := readPage(t, "../../docs/README.md").linked()
	for _, file := range docPages(t) {
		path, err := filepath.Rel("../../docs", file)
		require.NoError(t, err)
		if strings.HasPrefix(path, "..") || path == "README.md" {
			continue
		}
		require.Contains(t, indexed, filepath.ToSlash(path), "docs/README.md leads to no docs/%s", path)
		p := readPage(t, file)
		require.Regexp(t, `^# `, p.lines[0], file)
		first := strings.Join(p.lines[1:min(len(p.lines), 8)], " ")
		require.Regexp(t, `(?i)\b(is|are) for\b`, first, "%s does not say at its beginning for whom it is", file)
	}
}
