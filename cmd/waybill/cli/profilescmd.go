package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"waybill/client"
)

func newProfiles(e Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "profiles",
		Short: "Remember addresses and keys",
		Long: "Remembers the addresses and keys of the Waybills that you use, in a file in your configuration folder that only you may read. The other " +
			"commands use the current profile unless --profile, --url or a variable says otherwise.",
		Example: "  waybill profiles add local --url http://127.0.0.1:8080 --key-file .waybill/api-key\n  waybill profiles list",
	}
	c.AddCommand(newProfilesAdd(e), newProfilesList(e), newProfilesUse(e), newProfilesRemove(e))
	return MakeParent(c)
}

func newProfilesAdd(e Env) *cobra.Command {
	var address, keyFile string
	var unchecked bool
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add or replace a profile, and use it",
		Long: "Adds a profile, or replaces one, and makes it the current one. The key is read from --key-file, or else from the standard input: a terminal " +
			"asks for it and does not show it. Waybill is asked whose key it is before it is kept.",
		Example: "  waybill profiles add production --url https://waybill.example.com\n  waybill profiles add local --url http://127.0.0.1:8080 --key-file .waybill/api-key",
		Args:    Arguments("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if !profileName.MatchString(args[0]) {
				return Usagef("%q is no name for a profile: letters, digits, dots, dashes and underscores, 63 at most", args[0])
			}
			key, err := e.newKey(c.Context(), keyFile)
			if err != nil {
				return err
			}
			return e.addProfile(c, args[0], &profile{URL: address, Key: key}, unchecked)
		},
	}
	c.Flags().StringVar(&address, "url", "", "address of Waybill, such as https://waybill.example.com")
	c.Flags().StringVar(&keyFile, "key-file", "", "file that holds the API key")
	c.Flags().BoolVar(&unchecked, "unchecked", false, "keep it without asking Waybill whose key it is")
	return c
}

// addProfile keeps a profile once Waybill knows its key.
func (e Env) addProfile(c *cobra.Command, name string, p *profile, unchecked bool) error {
	all, err := e.readProfiles()
	if err != nil {
		return err
	}
	if len(all.Profiles) >= maxProfiles && all.Profiles[name] == nil {
		return Usagef("there are %d profiles already: remove one", maxProfiles)
	}
	waybill, err := client.New(p.URL, p.Key)
	if err != nil {
		return Usagef("--url: %s", err)
	}
	who := "unchecked"
	if !unchecked {
		e.warnOfOpen(p.URL)
		session, err := waybill.GetSession(c.Context())
		if err != nil {
			return explain(err)
		}
		if session.Actor == "" {
			return fmt.Errorf("what answers at %s is not a Waybill", clean(p.URL))
		}
		who = describe(session)
	}
	all.Profiles[name], all.Current = p, name
	if err := e.writeProfiles(all); err != nil {
		return err
	}
	fmt.Fprintf(e.Out, "%s is %s, %s\n", name, clean(p.URL), clean(who))
	return nil
}

// describe says whose key it is.
func describe(w *client.WhoAmI) string {
	if w.Tenant != nil && *w.Tenant != "" {
		return fmt.Sprintf("with a key of the tenant %s", *w.Tenant)
	}
	return "with an administrator's key"
}

// newKey reads a new key from a file, or else from the standard input.
func (e Env) newKey(ctx context.Context, file string) (string, error) {
	if file != "" {
		return readKey(file)
	}
	if in, ok := e.In.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		fmt.Fprint(e.Err, "API key: ")
		raw, err := readHidden(ctx, int(in.Fd()))
		fmt.Fprintln(e.Err)
		if err != nil {
			return "", err
		}
		return keyOf(bytes.NewReader(raw), "what you wrote")
	}
	return keyOf(interruptible(ctx, e.In), "the standard input")
}

// readHidden reads a line from a terminal that does not show it. Whoever interrupts it gets back a terminal that shows what is written.
func readHidden(ctx context.Context, terminal int) ([]byte, error) {
	state, err := term.GetState(terminal)
	if err != nil {
		return nil, err
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-ctx.Done():
		return nil, errors.Join(errInterrupted, term.Restore(terminal, state))
	}
}

func newProfilesList(e Env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the profiles; keys are not shown",
		Long:    "Lists the profiles with a star before the current one. Keys are not shown.",
		Example: "  waybill profiles list",
		Args:    Arguments(),
		RunE: func(*cobra.Command, []string) error {
			all, err := e.readProfiles()
			if err != nil {
				return err
			}
			t := newTable(e.Out, "", "NAME", "URL")
			for _, name := range slices.Sorted(maps.Keys(all.Profiles)) {
				star := ""
				if name == all.Current {
					star = "*"
				}
				t.row(star, name, all.Profiles[name].URL)
			}
			return t.end()
		},
	}
}

func newProfilesUse(e Env) *cobra.Command {
	return &cobra.Command{
		Use:     "use NAME",
		Short:   "Make a profile the current one",
		Long:    "Makes a profile the one that commands use where nothing else is said.",
		Example: "  waybill profiles use production",
		Args:    Arguments("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.changeProfiles(args[0], func(all *profiles) { all.Current = args[0] })
		},
	}
}

func newProfilesRemove(e Env) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a profile and its key from this machine",
		Long:    "Removes a profile and its key from this machine. The key stays valid: 'waybill keys delete' ends it.",
		Example: "  waybill profiles remove local",
		Args:    Arguments("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.changeProfiles(args[0], func(all *profiles) {
				delete(all.Profiles, args[0])
				if all.Current == args[0] {
					all.Current = ""
				}
			})
		},
	}
}

func (e Env) changeProfiles(name string, change func(*profiles)) error {
	all, err := e.readProfiles()
	if err != nil {
		return err
	}
	if all.Profiles[name] == nil {
		return Usagef("there is no profile %q: waybill profiles list", name)
	}
	change(all)
	return e.writeProfiles(all)
}
