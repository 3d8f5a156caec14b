package main

import (
	"context"
	"io"
	"log/slog"
	"net/url"

	"github.com/spf13/cobra"

	"waybill/cmd/waybill/cli"
)

// Groups of commands in the help.
const (
	groupServer = "server"
	groupPeople = "people"
	groupOther  = "other"
)

// newRoot returns the command `waybill` with all others below it. The server's commands write to out.
func newRoot(i invocation, out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "waybill",
		Short: "Delivers webhooks and does not lose them",
		Long: "Waybill delivers webhooks and does not lose them.\n\n" +
			"It exits with 0 when all went well, 2 when the call or a setting is wrong, and 1 when anything else went wrong.",
		Version:           thisBuild().String(),
		DisableAutoGenTag: true, // no date in what is generated, so that it is the same each time
		SilenceErrors:     true, // run prints them
		SilenceUsage:      true,
	}
	root.SetArgs(append([]string{}, i.args...)) // nil would be the arguments of the process
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(i.in)
	root.SetOut(out)
	root.SetErr(i.err)
	root.AddGroup(
		&cobra.Group{ID: groupServer, Title: "Run Waybill"}, &cobra.Group{ID: groupPeople, Title: "Use a Waybill that runs"},
		&cobra.Group{ID: groupOther, Title: "Other commands"},
	)
	people := cli.Commands(cli.Env{Environ: i.environ, In: i.in, Out: i.out, Err: i.err, Version: thisBuild().Version})
	i.out = out
	root.AddCommand(
		newServe(i), newAPI(i), newWorker(i), newMigrate(i), newReseal(i), newRetention(i),
		newConfig(i), newDoctor(i), newHealth(i), newVersion(i), newMan(),
	)
	for _, c := range people {
		c.GroupID = groupPeople
		root.AddCommand(c)
	}
	root.SetHelpCommand(cli.NewHelp())
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	root.SetHelpFunc(cli.WriteHelp)
	root.SetUsageFunc(cli.WriteUsage)
	root.SetFlagErrorFunc(cli.ExplainFlagError)
	cli.MakeParent(root)
	return root
}

const settingsText = `Every setting is an environment variable and, unless it is a secret, a flag of the same name: --max-backlog is
WAYBILL_MAX_BACKLOG. A flag overrules the variable. Secrets are variables, or files that variables and flags name.`

func newServe(i invocation) *cobra.Command {
	return withSettings(i, &cobra.Command{
		Use:   "serve",
		Short: "The API, the dashboard and a worker in one process",
		Long: "Serves the API and the dashboard, and delivers: everything in one process.\n\n" +
			"It needs WAYBILL_DATABASE_URL, WAYBILL_API_KEY and WAYBILL_ENCRYPTION_KEYS, a Temporal server, and a database that\n" +
			"'waybill migrate' has prepared. " + settingsText,
		Example: "  waybill serve --listen=127.0.0.1:8080 --temporal-address=127.0.0.1:7233",
	}, nil, func(ctx context.Context, s *settings, log *slog.Logger) error {
		return serve(ctx, s, log, parts{api: true, dispatch: true, isolated: true})
	})
}

func newAPI(i invocation) *cobra.Command {
	return withSettings(i, &cobra.Command{
		Use:   "api",
		Short: "The API and the dashboard alone",
		Long: "Serves the API and the dashboard, and starts the workflows of the events that it accepts unless --dispatch=false is given:\n" +
			"then 'waybill worker' does. " + settingsText,
		Example: "  waybill api --listen=0.0.0.0:8080 --dispatch=false",
	}, nil, func(ctx context.Context, s *settings, log *slog.Logger) error {
		return serve(ctx, s, log, parts{api: true, dispatch: s.Dispatch})
	})
}

func newWorker(i invocation) *cobra.Command {
	return withSettings(i, &cobra.Command{
		Use:   "worker",
		Short: "A worker alone: attempts, relay, reconciler, upkeep",
		Long: "Makes attempts, finds events that nobody started, repairs what stands still, and removes what is older than it is kept. Any\n" +
			"number of workers may run. It needs no WAYBILL_API_KEY. " + settingsText,
		Example: "  waybill worker --worker-listen=127.0.0.1:8081",
	}, nil, func(ctx context.Context, s *settings, log *slog.Logger) error {
		return serve(ctx, s, log, parts{dispatch: true, isolated: true})
	})
}

func newMigrate(i invocation) *cobra.Command {
	return withSettings(i, &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's tables up to date",
		Long: "Brings the database's tables up to date, and grants --database-role what the processes need. It can run while Waybill runs,\n" +
			"and does nothing where there is nothing to do. It needs WAYBILL_DATABASE_URL only.",
		Example: "  waybill migrate --database-role=waybill_app",
	}, []string{"WAYBILL_DATABASE_URL", "WAYBILL_DATABASE_PASSWORD", "WAYBILL_DATABASE_SCHEMA", "WAYBILL_DATABASE_ROLE", "WAYBILL_LOG_LEVEL", "WAYBILL_LOG_FORMAT"}, migrate)
}

func newReseal(i invocation) *cobra.Command {
	return withSettings(i, &cobra.Command{
		Use:   "reseal",
		Short: "Seal everything with the first of WAYBILL_ENCRYPTION_KEYS",
		Long: "Seals every secret in the database with the first of WAYBILL_ENCRYPTION_KEYS, so that the other keys can go. It can run while\n" +
			"Waybill runs, and can be interrupted and run again. It needs WAYBILL_DATABASE_URL and WAYBILL_ENCRYPTION_KEYS only.",
		Example: "  waybill reseal --encryption-keys-file=/run/secrets/keys",
	}, []string{"WAYBILL_DATABASE_URL", "WAYBILL_DATABASE_PASSWORD", "WAYBILL_DATABASE_SCHEMA", "WAYBILL_ENCRYPTION_KEYS", "WAYBILL_LOG_LEVEL", "WAYBILL_LOG_FORMAT"}, reseal)
}

func newRetention(i invocation) *cobra.Command {
	dryRun := false
	c := withSettings(i, &cobra.Command{
		Use:   "retention",
		Short: "Remove what is older than it is kept",
		Long: "Removes what is older than it is kept, which the workers do by themselves, and tells what went. It needs WAYBILL_DATABASE_URL\n" +
			"only.",
		Example: "  waybill retention --dry-run\n  waybill retention --retention=720h",
	}, []string{
		"WAYBILL_DATABASE_URL", "WAYBILL_DATABASE_PASSWORD", "WAYBILL_DATABASE_SCHEMA", "WAYBILL_RETENTION", "WAYBILL_AUDIT_RETENTION", "WAYBILL_LOG_LEVEL", "WAYBILL_LOG_FORMAT",
	}, func(ctx context.Context, s *settings, log *slog.Logger) error {
		return retain(ctx, s, log, i.out, dryRun)
	})
	c.Flags().BoolVar(&dryRun, "dry-run", false, "tell what would go, and remove nothing")
	return c
}

// withSettings makes a command take settings. uses names the variables that its help shows; nil: all. The others are taken too,
// because a machine's environment is one for all commands.
func withSettings(i invocation, c *cobra.Command, uses []string, do func(context.Context, *settings, *slog.Logger) error) *cobra.Command {
	g := addSettings(c, i.environ, uses)
	c.GroupID = groupServer
	c.Args = noArguments
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := readSettings(c.Name(), g.variables())
		if err != nil {
			return &cli.UsageError{Err: err}
		}
		log := newLogger(i.err, s)
		defer tellLeftOutNow(log)
		err = do(c.Context(), s, log)
		if err != nil && s.LogFormat == "json" {
			log.Error("the process ends", "error", err.Error())
			return &loggedError{err}
		}
		return err
	}
	return c
}

// loggedError is in the log, in its form, and not printed again.
type loggedError struct{ error }

// Unwrap returns the error itself.
func (e *loggedError) Unwrap() error { return e.error }

func noArguments(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case args[0] == "true" || args[0] == "false":
		return cli.Usagef("unexpected argument %q: a flag for yes or no is written --express or --express=%s", args[0], args[0])
	default:
		return cli.Usagef("unexpected argument %q: settings are flags such as --listen=127.0.0.1:8080", withoutPassword(args[0]))
	}
}

// withoutPassword returns a text that may be a URL without the password in it. Where it stands, none may be, but people put one there.
func withoutPassword(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}
