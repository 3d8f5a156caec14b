package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"waybill/cmd/waybill/cli"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a folder",
		Long:    "Writes a manual page for each command into a folder, which it creates. Packages call it when they are built.",
		Example: "  waybill man /usr/local/share/man/man1",
		GroupID: groupOther,
		Args:    cli.Arguments("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("the folder for the pages: %w", err)
			}
			at := thisBuild().Time
			if at == nil {
				at = new(time.Unix(0, 0).UTC()) // the same pages each time
			}
			return doc.GenManTree(c.Root(), &doc.GenManHeader{Title: "WAYBILL", Section: "1", Source: "Waybill", Manual: "Waybill", Date: at}, args[0])
		},
	}
}
