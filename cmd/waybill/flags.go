package main

import (
	"strings"

	"github.com/spf13/cobra"

	"waybill/cmd/waybill/cli"
)

// refuseFlags refuses, before the flags are parsed, what would be taken for something else: a secret, which an error could quote,
// and a long flag with one dash, which would be read as several of one letter. It returns the command that is called.
func refuseFlags(root *cobra.Command, args []string) (*cobra.Command, error) {
	command, rest, err := root.Find(args)
	if err != nil {
		return root, nil // to execute it says the same
	}
	command.InitDefaultHelpFlag()
	for _, arg := range rest {
		if arg == "--" {
			break
		}
		name, isFlag := strings.CutPrefix(arg, "-")
		name, twoDashes := strings.CutPrefix(name, "-")
		name, _, _ = strings.Cut(name, "=")
		if !isFlag || len(name) < 2 {
			continue
		}
		if err := refuseSecretFlag(command, name); err != nil {
			return command, err
		}
		if !twoDashes && isLongFlag(command, name) {
			return command, cli.Usagef("-%s has one dash: write --%s", name, name)
		}
	}
	return command, nil
}

func isLongFlag(c *cobra.Command, name string) bool {
	return c.Flags().Lookup(name) != nil || c.InheritedFlags().Lookup(name) != nil
}

// refuseSecretFlag refuses a secret setting as a flag, of a command that takes settings.
func refuseSecretFlag(c *cobra.Command, name string) error {
	for _, variable := range secretVariables() {
		if name == flagName(variable) && (!c.HasParent() || isLongFlag(c, name+"-file")) {
			return cli.Usagef("--%s is no flag, because every user of this machine can read it: set %s, or let %s%s name a file that holds it",
				name, variable, variable, fileSuffix)
		}
	}
	return nil
}
