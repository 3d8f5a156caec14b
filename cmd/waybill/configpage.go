package main

import (
	"fmt"
	"regexp"
	"strings"
)

// Lines of docs/configuration.md between which the table of a group is generated.
const (
	tableBegins = "<!-- settings: %s -->\n"
	tableEnds   = "<!-- end of settings -->\n"
)

// withTables returns a page with the tables of its settings made anew. It fails where a group has no place on the page.
func withTables(page string) (string, error) {
	all := allSettings()
	for len(all) > 0 {
		group := all[0].Group
		n := 0
		for n < len(all) && all[n].Group == group {
			n++
		}
		before, rest, found := strings.Cut(page, fmt.Sprintf(tableBegins, group))
		_, after, ended := strings.Cut(rest, tableEnds)
		if !found || !ended {
			return "", fmt.Errorf("the page has no place for the settings of %q: it is between the lines %q and %q", group,
				strings.TrimSpace(fmt.Sprintf(tableBegins, group)), strings.TrimSpace(tableEnds))
		}
		page = before + fmt.Sprintf(tableBegins, group) + settingsTable(all[:n]) + tableEnds + after
		all = all[n:]
	}
	return page, nil
}

// settingsTable is a table in Markdown.
func settingsTable(settings []setting) string {
	var out strings.Builder
	out.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, s := range settings {
		standard := " "
		switch {
		case s.Required:
			standard = " required "
		case s.Default != "":
			standard = " `" + s.Default + "` "
		}
		fmt.Fprintf(&out, "| `%s` |%s| %s |\n", s.Variable, standard, markdown(s))
	}
	return out.String()
}

var (
	// quoted is a value in a help text: its quotes are not apostrophes.
	quoted = regexp.MustCompile(`(^|[\s(,])'([^']+)'`)
	named  = regexp.MustCompile(`(^|[\s(])(WAYBILL_[A-Z_]+)`)
)

// markdown is what a setting does, for a page.
func markdown(s setting) string {
	text := quoted.ReplaceAllString(s.Help, "$1`$2`")
	text = named.ReplaceAllString(text, "$1`$2`")
	text = strings.ReplaceAll(text, "|", `\|`)
	if s.See == "" {
		return text
	}
	page, part, _ := strings.Cut(s.See, "#")
	title := strings.ReplaceAll(part, "-", " ")
	if part == "" {
		title = page
	}
	return fmt.Sprintf("%s. See [%s](%s)", text, title, strings.TrimPrefix(s.See, "configuration.md"))
}
