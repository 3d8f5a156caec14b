package cli

import (
	"io"
	"strings"

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
func Commands(e Env) []*cobra.Command {
	all := []*cobra.Command{
		newProfiles(e),
		newPublish(e),
		newBatch(e),
		newTenants(e),
		newEndpoints(e),
		newEvents(e),
		newDeliveries(e),
		newRecoveries(e),
		newKeys(e),
		newEventTypes(e),
		newTrigger(e),
		newTail(e),
		newListen(e),
		newVerify(e),
	}
	for _, c := range all {
		c.SetFlagErrorFunc(explainFlagError)
	}
	return all
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

// variable returns an environment variable; "": it is not set.
func (e Env) variable(name string) string {
	for _, entry := range e.Environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
