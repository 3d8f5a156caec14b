package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// MakeParent makes a command ask for one of the commands below it.
func MakeParent(c *cobra.Command) *cobra.Command {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return noCommand(c, args[0])
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := c.Usage(); err != nil {
			return err
		}
		return Usagef("which command of %s? See above", c.CommandPath())
	}
	return c
}

func noCommand(c *cobra.Command, name string) error {
	var names []string
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			names = append(names, append(sub.Aliases, sub.Name())...)
		}
	}
	return Usagef("there is no command %q%s", strings.TrimPrefix(c.CommandPath()+" "+name, c.Root().Name()+" "), DidYouMean(name, names))
}

// NewHelp returns the command `help`.
func NewHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [command]",
		Short:   "Help about a command",
		Example: "  waybill help serve",
		RunE: func(c *cobra.Command, args []string) error {
			about := c.Root()
			for _, name := range args {
				sub, rest, err := about.Find([]string{name})
				if err != nil || len(rest) > 0 || sub == about {
					return noCommand(about, name)
				}
				about = sub
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// ExplainFlagError says in words what is wrong with a flag. It is a function of cobra for errors of flags.
func ExplainFlagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return Usagef("there is no flag -%s: flags with more than one letter have two dashes", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, "--"+f.Name)
			}
		})
		return Usagef("there is no flag --%s%s", name, DidYouMean("--"+name, names))
	case errors.As(err, &noValue):
		return Usagef("--%s needs a value", noValue.GetSpecifiedName())
	default:
		return &UsageError{fmt.Errorf("%w", err)}
	}
}

// DidYouMean is ", did you mean X?" where one of the names is like what was written, and "" otherwise.
func DidYouMean(written string, names []string) string {
	best, least := "", min(3, len(written)/2) // letters that differ
	for _, name := range names {
		if d := distance(strings.ToLower(written), strings.ToLower(name)); d <= least && (best == "" || d < least) {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// distance is how many bytes must be put in, left out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Arguments makes a command take these arguments and no others.
func Arguments(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return Usagef("%s is missing: %s", names[len(args)], c.UseLine())
		case len(args) > len(names):
			return Usagef("unexpected argument %q", args[len(names)])
		default:
			return nil
		}
	}
}
