// Command waybill delivers webhooks: the HTTP API, the dispatcher and the workers, together or apart.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: waybill <command> [flags]

  serve     the API and a worker in one process
  api       the API alone; starts workflows itself unless -dispatch=false
  worker    a worker alone: attempts, relay, reconciler, upkeep
  migrate   bring the database's tables up to date
  reseal    seal everything with the first of WAYBILL_ENCRYPTION_KEYS
  retention remove what is older than it is kept; with -dry-run, tell what would go

Every setting is an environment variable, and a flag unless it is a secret: waybill serve -h lists them.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	tuneMemory(os.Environ())
	err := run(ctx, os.Args[1:], os.Environ(), os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "waybill:", err)
		os.Exit(1)
	}
}

// run carries out one command until it ends or the context is done.
func run(ctx context.Context, args, environ []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		fmt.Fprint(out, usage)
		return flag.ErrHelp
	}
	command, known := commands[args[0]]
	if !known {
		return fmt.Errorf("there is no command %q\n\n%s", args[0], usage)
	}
	c, err := parseConfig(args[0], args[1:], environ, out)
	if err != nil {
		return err
	}
	s, err := c.check(args[0])
	if err != nil {
		return fmt.Errorf("the configuration does not do:\n%w", err)
	}
	return command(ctx, s, newLogger(out, s))
}

// commands says what each command runs.
var commands = map[string]func(context.Context, *settings, *slog.Logger) error{
	"serve": func(ctx context.Context, s *settings, log *slog.Logger) error {
		return serve(ctx, s, log, parts{api: true, dispatch: true, isolated: true})
	},
	"api": func(ctx context.Context, s *settings, log *slog.Logger) error {
		return serve(ctx, s, log, parts{api: true, dispatch: s.Dispatch})
	},
	"worker": func(ctx context.Context, s *settings, log *slog.Logger) error {
		return serve(ctx, s, log, parts{dispatch: true, isolated: true})
	},
	"migrate":   migrate,
	"reseal":    reseal,
	"retention": retain,
}

func newLogger(out io.Writer, s *settings) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
