package main

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"

	"waybill/cmd/waybill/cli"
)

// setting is what is known of a field of config.
type setting struct {
	// Variable is WAYBILL_LISTEN, and flag is listen.
	Variable, flag string
	// Default is "" where there is none.
	Default string
	// Group is where it is listed. Help says what it does, and See where docs/ says more, or is "".
	Group, Help, See string
	Secret           bool
	// Required says that nothing runs without it.
	Required bool
	goType   reflect.Type
}

// allSettings returns every setting, in groups.
func allSettings() []setting {
	var all []setting
	group := ""
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		variable := f.Tag.Get("env")
		if begun := f.Tag.Get("group"); begun != "" {
			group = begun
		}
		all = append(all, setting{
			Variable: variable, flag: flagName(variable), Default: f.Tag.Get("envDefault"), Group: group, Help: f.Tag.Get("help"),
			See: f.Tag.Get("see"), Secret: f.Tag.Get("secret") == "true", Required: f.Tag.Get("required") == "true", goType: f.Type,
		})
	}
	return all
}

func flagName(variable string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "WAYBILL_")), "_", "-")
}

// takes says in a word what a value is, for the help.
func (s setting) takes() string {
	switch {
	case s.goType == reflect.TypeFor[bool]():
		return cli.YesNo
	case s.goType == reflect.TypeFor[time.Duration]():
		return "duration"
	case s.goType.Kind() == reflect.Slice, s.goType.Kind() == reflect.Map:
		return "list"
	case s.goType.Kind() == reflect.String && strings.HasSuffix(s.Variable, fileSuffix):
		return "file"
	case s.goType.Kind() == reflect.String:
		return "text"
	default:
		return "number"
	}
}

// settingFlag is a flag that sets its variable.
type settingFlag struct {
	setting
	given map[string]string
}

// Set keeps the value, which is checked with those of the variables.
func (f *settingFlag) Set(value string) error {
	f.given[f.Variable] = value
	return nil
}

// String is the default, for the help.
func (f *settingFlag) String() string { return f.Default }

// Type is what the help shows for the value.
func (f *settingFlag) Type() string { return f.takes() }

// given is what a command was given of settings.
type given struct {
	environ []string
	// flags are variables too.
	flags map[string]string
}

// variables are those that count. Flags overrule the environment. The caller may change them.
func (g given) variables() map[string]string {
	variables := env.ToMap(g.environ)
	maps.Copy(variables, g.flags)
	return variables
}

// addSettings adds a flag for every setting that is no secret, and for the file of each that is. Those that uses does not name are not
// shown, unless it is nil. What it returns is complete once the flags are parsed.
func addSettings(c *cobra.Command, environ, uses []string) given {
	g := given{environ, map[string]string{}}
	c.Flags().SortFlags = false
	for _, s := range allSettings() {
		name := s.Variable
		if s.Secret {
			s.Help = "file that holds " + s.Variable + ": " + s.Help
			s.Variable, s.flag = s.Variable+fileSuffix, s.flag+"-file"
		}
		flag := c.Flags().VarPF(&settingFlag{s, g.flags}, s.flag, "", s.Help)
		if s.takes() == cli.YesNo {
			flag.NoOptDefVal = "true"
		}
		flag.Annotations = map[string][]string{cli.FlagGroup: {s.Group}}
		flag.Hidden = uses != nil && !slices.Contains(uses, name)
	}
	return g
}
