package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"waybill/postgres"
	"waybill/store"
)

// retain is `waybill retention`: what the upkeep does by itself, now, and a report of it to out. In a dry run it removes nothing.
func retain(ctx context.Context, s *settings, log *slog.Logger, out io.Writer, dryRun bool) error {
	// Nothing that is sealed is read, so that no key is needed.
	db, err := postgres.Open(postgres.Options{
		URL: s.DatabaseURL, Schema: s.DatabaseSchema, MaxConns: 2, Keys: []postgres.Key{{ID: "none"}}, QuarantineAge: s.Retention, Logger: log,
	})
	if err != nil {
		return err
	}
	remove := db.Retain
	if dryRun {
		remove = db.Expired
	}
	gone, err := remove(ctx, s.retention())
	if err == nil || len(gone) > 0 { // what went before it failed is told too
		writeExpired(out, gone, dryRun)
	}
	return errors.Join(err, db.Close())
}

// writeExpired writes a table of what goes, or would go.
func writeExpired(out io.Writer, gone []store.Expired, dryRun bool) {
	if len(gone) == 0 {
		fmt.Fprintln(out, "Nothing is older than it is kept.")
		return
	}
	header := "REMOVED\tROWS\tKEPT, UNSETTLED\tMiB"
	if dryRun {
		header = "WOULD GO\tROWS\tKEPT, UNSETTLED\tMiB"
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, header)
	for _, g := range gone {
		size := ""
		if g.Bytes > 0 {
			size = fmt.Sprintf("%.1f", float64(g.Bytes)/(1<<20))
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", g.What, g.Rows, g.Kept, size)
	}
	_ = table.Flush()
}
