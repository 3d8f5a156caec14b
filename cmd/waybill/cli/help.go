package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// FlagGroup is the annotation of a flag that says under which heading the help shows it.
const FlagGroup = "group"

// YesNo is the type of flags that need no value.
const YesNo = "bool"

// Layout of the help, in characters. A long name stands on a line of its own.
const (
	helpWidth = 100
	shortName = 22
)

// WriteHelp writes what a command is for and how it is called. It is a help function of cobra.
func WriteHelp(c *cobra.Command, _ []string) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(c.OutOrStdout(), "%s\n\n", Wrap(text, ""))
	writeUsage(c.OutOrStdout(), c)
}

// WriteUsage writes how a command is called. It is a usage function of cobra.
func WriteUsage(c *cobra.Command) error {
	writeUsage(c.ErrOrStderr(), c)
	return nil
}

func writeUsage(out io.Writer, c *cobra.Command) {
	line := c.UseLine()
	if c.HasAvailableSubCommands() {
		line = c.CommandPath() + " <command> [flags]"
	}
	fmt.Fprintf(out, "Usage: %s\n", line)
	if len(c.Aliases) > 0 {
		fmt.Fprintf(out, "Also called: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n%s\n", strings.TrimRight(c.Example, "\n"))
	}
	for _, g := range append(c.Groups(), &cobra.Group{Title: "Commands"}) {
		writeCommands(out, c, g)
	}
	for _, f := range flagGroups(c) {
		fmt.Fprintf(out, "\n%s:\n", f.title)
		writeFlags(out, f.flags)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\n%s <command> --help says more about one of them.\n", c.CommandPath())
	}
}

func writeCommands(out io.Writer, c *cobra.Command, group *cobra.Group) {
	width := 0
	var shown []*cobra.Command
	for _, sub := range c.Commands() {
		if sub.GroupID == group.ID && (sub.IsAvailableCommand() || sub.Name() == "help") {
			shown = append(shown, sub)
			width = max(width, len(sub.Name()))
		}
	}
	if len(shown) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s:\n", group.Title)
	for _, sub := range shown {
		fmt.Fprintf(out, "  %-*s  %s\n", width, sub.Name(), sub.Short)
	}
}

type flagGroup struct {
	title string
	flags []*pflag.Flag
}

// flagGroups returns a command's flags under their headings: its own, those of each group, and those that it has from above.
func flagGroups(c *cobra.Command) []flagGroup {
	var groups []flagGroup
	add := func(title string, f *pflag.Flag) {
		for i := range groups {
			if groups[i].title == title {
				groups[i].flags = append(groups[i].flags, f)
				return
			}
		}
		groups = append(groups, flagGroup{title, []*pflag.Flag{f}})
	}
	own := c.LocalFlags()
	own.SortFlags = false
	own.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Annotations[FlagGroup] == nil {
			add("Flags", f)
		}
	})
	own.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Annotations[FlagGroup] != nil {
			add(f.Annotations[FlagGroup][0], f)
		}
	})
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			add("Flags of all commands", f)
		}
	})
	return groups
}

func writeFlags(out io.Writer, flags []*pflag.Flag) {
	names := make([]string, len(flags))
	width := 0
	for i, f := range flags {
		names[i] = flagUse(f)
		width = max(width, len(names[i]))
	}
	for i, f := range flags {
		_, text := pflag.UnquoteUsage(f)
		if hasDefault(f) {
			text += " (default " + f.DefValue + ")"
		}
		if width > shortName {
			fmt.Fprintf(out, "  %s\n%s\n", names[i], Wrap(text, "        "))
			continue
		}
		indent := strings.Repeat(" ", width+4)
		fmt.Fprintf(out, "  %-*s  %s\n", width, names[i], strings.TrimPrefix(Wrap(text, indent), indent))
	}
}

// flagUse is how a flag is written.
func flagUse(f *pflag.Flag) string {
	use := "--" + f.Name
	if f.Shorthand != "" {
		use = "-" + f.Shorthand + ", " + use
	}
	kind, _ := pflag.UnquoteUsage(f)
	switch kind {
	case "stringToString":
		kind = "name=value,..."
	case "strings":
		kind = "text,..."
	case "string":
		kind = "text"
	case "int":
		kind = "number"
	}
	if kind != "" && f.Value.Type() != YesNo {
		use += " " + strings.ToUpper(kind)
	}
	return use
}

func hasDefault(f *pflag.Flag) bool {
	switch f.DefValue {
	case "", "false", "0", "[]", "0s":
		return false
	default:
		return true
	}
}

// Wrap breaks lines at spaces, after at most 100 characters. Paragraphs that begin with a space stay as they are.
func Wrap(text, indent string) string {
	var out []string
	for _, paragraph := range strings.Split(text, "\n\n") {
		if strings.HasPrefix(paragraph, " ") {
			out = append(out, paragraph)
			continue
		}
		var lines []string
		line := indent
		for _, word := range strings.Fields(paragraph) {
			if line != indent && len(line)+1+len(word) > helpWidth {
				lines = append(lines, line)
				line = indent
			}
			if line != indent {
				line += " "
			}
			line += word
		}
		out = append(out, strings.Join(append(lines, line), "\n"))
	}
	return strings.Join(out, "\n\n")
}
