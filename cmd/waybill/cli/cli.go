package cli

import (
	"io"

	"github.com/spf13/cobra"
)

// Env is what the commands have from their process.
type Env struct {
	// Environ has the variables, "NAME=value" each.
	Environ []string
	In      io.Reader
	// Out gets what was asked for, Err messages and progress.
	Out, Err io.Writer
	// Version is of this program.
	Version string
}

// Commands returns the commands for people. A further one is a further line.
func Commands(_ Env) []*cobra.Command {
	return []*cobra.Command{}
}

// The environment variables of these commands.
const (
	variableURL     = "WAYBILL_URL"
	variableKey     = "WAYBILL_KEY"
	variableKeyFile = "WAYBILL_KEY_FILE"
	variableProfile = "WAYBILL_PROFILE"
)

// Variables are the environment variables of these commands. The commands of the server ignore them, because a shell may have
// them for the others.
func Variables() []string {
	return []string{variableURL, variableKey, variableKeyFile, variableProfile}
}
