package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"waybill/cmd/waybill/cli"
)

// shownSetting is a setting as `waybill config` shows it.
type shownSetting struct {
	Variable string `json:"variable"`
	// Flag is "" of a secret.
	Flag string `json:"flag,omitempty"`
	// Value is "" of a secret, of which Set says whether it has one.
	Value    string `json:"value"`
	Set      bool   `json:"set"`
	Default  string `json:"default"`
	Required bool   `json:"required"`
	Secret   bool   `json:"secret"`
	// Source is default, variable, flag or file; File is the name of the file.
	Source  string `json:"source"`
	File    string `json:"file,omitempty"`
	Group   string `json:"group"`
	Meaning string `json:"meaning"`
}

func newConfig(i invocation) *cobra.Command {
	var page string
	c := &cobra.Command{
		Use:   "config",
		Short: "Every setting: its value, where that comes from, and what it does",
		Long: "Shows every setting with its value or default, where that comes from (default, variable, flag, or the file of a secret), and what it " +
			"does. Of secrets it shows only whether they are set. It takes the same variables and flags as 'waybill serve', and does not check " +
			"whether they work: 'waybill doctor' does.",
		Example: "  waybill config\n  waybill config -o json\n  waybill config --max-backlog=5000",
		GroupID: groupServer,
		Args:    noArguments,
	}
	format := cli.AddFormat(c)
	c.Flags().StringVar(&page, "markdown", "", "write the tables of settings anew in this page")
	c.Flags().Lookup("markdown").Hidden = true
	g := addSettings(c, i.environ, nil)
	for _, s := range allSettings() { // the same list again would hide what this command is for
		if flag := c.Flags().Lookup(s.flag); flag != nil {
			flag.Hidden = true
		}
		if flag := c.Flags().Lookup(s.flag + "-file"); flag != nil {
			flag.Hidden = true
		}
	}
	c.RunE = func(*cobra.Command, []string) error {
		if page != "" {
			return writeSettingsPage(page)
		}
		shown := g.show()
		if format.JSON() {
			return cli.WriteJSON(i.out, shown)
		}
		writeSettings(i.out, shown)
		if err := checkNames(g.variables()); err != nil {
			return &cli.UsageError{Err: err}
		}
		return nil
	}
	return c
}

// show returns every setting as it is given.
func (g given) show() []shownSetting {
	variables := g.variables()
	var out []shownSetting
	for _, s := range allSettings() {
		shown := shownSetting{
			Variable: s.Variable, Flag: "--" + s.flag, Value: variables[s.Variable], Default: s.Default, Required: s.Required, Secret: s.Secret,
			Source: "variable", Group: s.Group, Meaning: s.Help,
		}
		if _, byFlag := g.flags[s.Variable]; byFlag {
			shown.Source = "flag"
		}
		if shown.File = variables[s.Variable+fileSuffix]; s.Secret && shown.File != "" {
			shown.Source = "file"
		} else {
			shown.File = ""
		}
		shown.Set = shown.Value != "" || shown.File != ""
		if !shown.Set {
			shown.Value, shown.Source = s.Default, "default"
		}
		if s.Secret {
			shown.Flag, shown.Value = "", ""
		}
		shown.Value = withoutPassword(shown.Value)
		out = append(out, shown)
	}
	return out
}

func writeSettings(out io.Writer, all []shownSetting) {
	group := ""
	for _, s := range all {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(out, "%s:\n", group)
		}
		fmt.Fprintf(out, "  %s=%s (%s)\n%s\n", s.Variable, cli.Clean(s.inWords()), cli.Clean(s.from()), cli.Wrap(s.Meaning, "        "))
	}
}

func (s *shownSetting) inWords() string {
	switch {
	case s.Secret && s.Set:
		return "<set>"
	case s.Secret:
		return "<not set>"
	default:
		return s.Value
	}
}

func (s *shownSetting) from() string {
	switch {
	case !s.Set && s.Required:
		return "required"
	case s.File != "":
		return "file " + s.File
	default:
		return s.Source
	}
}

// writeSettingsPage writes the tables of a page anew.
func writeSettingsPage(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := withTables(string(page))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
