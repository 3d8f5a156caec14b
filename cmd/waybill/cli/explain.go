package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"waybill/client"
)

// explain makes an error of a call readable: what the server said, the fields that are wrong, and what to do where that is known.
func explain(err error) error {
	var usage *UsageError
	if errors.As(err, &usage) {
		return err
	}
	var refused *client.Error
	if !errors.As(err, &refused) {
		if err == nil {
			return nil
		}
		return errors.New(clean(strings.TrimPrefix(err.Error(), "client: ")))
	}
	var text strings.Builder
	text.WriteString(clean(refused.Error()))
	for _, f := range refused.Fields {
		fmt.Fprintf(&text, "\n  %s: %s", clean(f.Field), clean(f.Detail))
	}
	if refused.Status == 401 {
		text.WriteString("\n  The key is not one of this Waybill, or it has ended: see WAYBILL_KEY and 'waybill profiles list'.")
	}
	return errors.New(text.String())
}

// explainFlagError explains a wrong flag, and refuses a key as one.
func explainFlagError(c *cobra.Command, err error) error {
	for _, name := range []string{"--key", "--api-key", "'k' in -key", "'a' in -api-key"} {
		if strings.Contains(err.Error()+" ", name+" ") || strings.Contains(err.Error(), name+"=") {
			return Usagef("a key is no flag, because every user of this machine can read it: set %s, or let --key-file name a file that holds it", variableKey)
		}
	}
	return ExplainFlagError(c, err)
}
