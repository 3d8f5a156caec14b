package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Format is how a command writes what it was asked for.
type Format struct{ name string }

// The formats.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
)

// AddFormat gives a command the flag -o for a text or JSON.
func AddFormat(c *cobra.Command) *Format { return addFormat(c, "text", formatJSON) }

func addFormat(c *cobra.Command, names ...string) *Format {
	f := &Format{names[0]}
	c.Flags().VarP(&formatFlag{f, names}, "output", "o", "how to write it: "+strings.Join(names, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	return f
}

// JSON reports whether JSON was asked for.
func (f *Format) JSON() bool { return f.name == formatJSON }

// Wide reports whether the table with all columns was asked for.
func (f *Format) Wide() bool { return f.name == formatWide }

type formatFlag struct {
	format *Format
	names  []string
}

// Set takes one of the names.
func (f *formatFlag) Set(name string) error {
	for _, known := range f.names {
		if name == known {
			f.format.name = name
			return nil
		}
	}
	return fmt.Errorf("it is one of %s", strings.Join(f.names, ", "))
}

// String is the name of the format.
func (f *formatFlag) String() string { return f.format.name }

// Type is what the help shows for the value.
func (f *formatFlag) Type() string { return "format" }

// clean removes from a text of the server what a terminal would obey: control characters, and those that turn the direction of
// writing. A line break or a tab becomes a space.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == utf8.RuneError || obeyed(r):
			return -1
		default:
			return r
		}
	}, text)
}

// obeyed reports whether a terminal may obey a character rather than show it.
func obeyed(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// WriteJSON writes a value whole, indented. What a terminal would obey is escaped, which JSON reads as the same.
func WriteJSON(out io.Writer, value any) error {
	text, err := encode(value, "")
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text+"\n")
	return err
}

// encode is the JSON of a value, each line but the first after the prefix.
func encode(value any, prefix string) (string, error) {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, "  ")
	if err := e.Encode(value); err != nil {
		return "", err
	}
	return escape(strings.TrimRight(text.String(), "\n")), nil
}

// escape writes characters that a terminal would obey as JSON escapes. JSON has line breaks between its tokens only.
func escape(text string) string {
	var out strings.Builder
	for _, r := range text {
		if obeyed(r) && r != '\n' {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// Clean removes from a stranger's text what a terminal would obey.
func Clean(text string) string { return clean(text) }
