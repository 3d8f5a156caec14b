package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"waybill/client"
	"waybill/webhook"
)

// listenFlags are what the command listen is given.
type listenFlags struct {
	to, secret, secretFile string
	types, header          []string
}

func newListen(e Env) *cobra.Command {
	f := &listenFlags{}
	c := &cobra.Command{
		Use:   "listen",
		Short: "Receive a tenant's events on this machine",
		Long: "Follows the events of a tenant from now on, and POSTs each to an address that Waybill need not reach, such as one of this\n" +
			"machine: with the body, the headers and the signature that an endpoint of the tenant would get. It shows what was answered.\n\n" +
			"Events go one after the other, in the order of their publication. While nothing listens at the address, it waits. Any other\n" +
			"failure is shown, and not tried again. Nothing of it is in the delivery log, and no endpoint is needed. It survives a restart of\n" +
			"Waybill. Ctrl-C ends it.\n\n" +
			"White space within data may be other than an endpoint gets it.",
		Example: "  waybill listen --tenant shop --forward-to http://localhost:3000/hooks\n" +
			"  waybill listen --tenant shop --forward-to http://localhost:3000/hooks --types 'order.*' --secret-file secret.txt",
		Args: Arguments(),
	}
	scope, flags := newScope(e, c), c.Flags()
	flags.StringVar(&f.to, "forward-to", "", "`URL` that gets them")
	flags.StringSliceVar(&f.types, "types", nil, "event `types`, such as order.confirmed or order.*; all without it")
	flags.StringVar(&f.secret, "secret", "", "signing `secret`; a new one, which is shown, without it")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` with the secret, which other users of this machine then cannot see")
	flags.StringArrayVarP(&f.header, "header", "H", nil, "a `header` of the endpoint, 'Name: value'; any number of them")
	c.RunE = func(c *cobra.Command, _ []string) error {
		l, err := f.read(interruptible(c.Context(), e.In))
		if err != nil {
			return err
		}
		if l.waybill, l.tenant, err = scope.open(c.Context()); err != nil {
			return err
		}
		l.out, l.say = c.OutOrStdout(), c.ErrOrStderr()
		return explainRun(c.Context(), l.run(c.Context()))
	}
	return c
}

// listener forwards the events of a tenant.
type listener struct {
	waybill  *client.Client
	tenant   string
	wants    *webhook.Endpoint
	to       *forwarder
	out, say io.Writer

	forwarded, refused int
}

// read checks the flags.
func (f *listenFlags) read(in io.Reader) (*listener, error) {
	switch {
	case f.to == "":
		return nil, Usagef("--forward-to is missing: where do the events go?")
	case f.secret != "" && f.secretFile != "":
		return nil, Usagef("give --secret or --secret-file, not both")
	}
	u, err := url.Parse(f.to)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, Usagef("--forward-to is a URL such as http://localhost:3000/hooks")
	}
	to := &forwarder{url: f.to, host: u.Host, custom: map[string]string{}, secret: webhook.SecretFromText(f.secret)}
	for _, line := range f.header {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || !webhook.IsHeaderName(name):
			return nil, Usagef("--header is 'Name: value', with a name of letters, digits and dashes") // what was written may be a secret
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			return nil, Usagef("the value of the header %s is not printable ASCII", name)
		}
		to.custom[name] = value
	}
	if f.secretFile != "" {
		text, err := readInput(in, f.secretFile)
		if err != nil {
			return nil, err
		}
		to.secret = webhook.SecretFromText(strings.TrimSpace(string(text)))
	}
	for _, pattern := range f.types {
		if exact := strings.TrimSuffix(pattern, ".*"); pattern != "*" && !webhook.IsEventType(exact) {
			return nil, Usagef("--types takes event types such as order.confirmed, order.* or *, not %q", pattern)
		}
	}
	wants := &webhook.Endpoint{EventTypes: f.types}
	if len(f.types) == 0 {
		wants.EventTypes = []string{"*"}
	}
	return &listener{wants: wants, to: to}, nil
}

// run forwards until the context is done.
func (l *listener) run(ctx context.Context) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	f := l.follower()
	if err := f.begin(ctx, nil); err != nil {
		return err
	}
	l.greet()
	// What a look found is forwarded before the next one, also when Waybill is lost in between.
	var left []client.ListedEvent
	err := keepOn(ctx, l.say, func() error {
		if len(left) == 0 {
			var err error
			if left, err = f.look(ctx); err != nil {
				return err
			}
		}
		n, err := l.forwardAll(ctx, left)
		left = left[n:]
		return err
	})
	fmt.Fprintf(l.say, "%s accepted, %d not.\n", counted(l.forwarded, "event was", "events were"), l.refused)
	return err
}

// begin learns the tenant's dialect.
func (l *listener) begin(ctx context.Context) error {
	tenant, err := l.waybill.GetTenant(ctx, l.tenant)
	if err != nil {
		return err
	}
	shown, err := l.waybill.GetDialect(ctx, tenant.Dialect)
	if err != nil {
		return err
	}
	if l.to.dialect, err = parseDialect(shown); err != nil {
		return err
	}
	l.to.made = l.to.secret.IsZero()
	if l.to.made {
		key := make([]byte, webhook.SecretBytes)
		_, _ = rand.Read(key) // never fails
		l.to.secret = webhook.NewSecret(key)
	}
	if !l.to.dialect.CanSign(time.Now(), webhook.SigningKeys{Current: l.to.secret}) {
		return Usagef("the dialect %s cannot sign with the secret: is it whole, and as Waybill shows it?", l.to.dialect.Name)
	}
	l.to.begin()
	return nil
}

// parseDialect reads a dialect as the API shows it, which is as its file has it.
func parseDialect(shown *client.Dialect) (*webhook.Dialect, error) {
	text, err := json.Marshal(shown)
	if err != nil {
		return nil, err
	}
	d, err := webhook.ParseDialect(text)
	if err != nil {
		return nil, fmt.Errorf("the server's dialect is newer than this command, which needs to be updated: %w", err)
	}
	return d, nil
}

// greet says what is going on, and how to verify.
func (l *listener) greet() {
	fmt.Fprintf(l.say, "Listening to the events of %s (dialect %s) from now on, for %s\n", l.tenant, l.to.dialect.Name, l.to.url)
	if l.to.made {
		fmt.Fprintf(l.say, "Signing secret: %s (of this run; --secret keeps one)\n", l.to.secret.Reveal())
	}
	if public, err := l.to.secret.PublicKey(); err == nil {
		fmt.Fprintf(l.say, "Public key: %s\n", public)
	}
	fmt.Fprintln(l.say, "Nothing of this is in the delivery log. Ctrl-C ends it.")
}

func (l *listener) follower() *follower[client.ListedEvent] {
	return &follower[client.ListedEvent]{
		page: followPage, most: followMost,
		list: func(ctx context.Context, since, until *time.Time, limit int, cursor *string) ([]client.ListedEvent, *string, error) {
			page, err := l.waybill.ListEvents(ctx, l.tenant, &client.ListEventsParams{Test: new(false), Since: since, Until: until, Limit: &limit, Cursor: cursor})
			if err != nil {
				return nil, nil, err
			}
			return page.Data, page.NextCursor, nil
		},
		key:     func(e *client.ListedEvent) string { return e.ID },
		at:      func(e *client.ListedEvent) time.Time { return e.CreatedAt },
		version: func(*client.ListedEvent) string { return "" },
	}
}

// readAhead is how many events are read while others are forwarded.
const readAhead = 8

// forwardAll forwards events in their order, and returns how many are done. It reads a few ahead.
func (l *listener) forwardAll(ctx context.Context, events []client.ListedEvent) (done int, err error) {
	for batch := range slices.Chunk(events, readAhead) {
		whole := make([]*client.Event, len(batch))
		g, reading := errgroup.WithContext(ctx)
		for i := range batch {
			if !l.wants.Wants(batch[i].Type) {
				continue
			}
			g.Go(func() error {
				e, err := l.waybill.GetEvent(reading, l.tenant, batch[i].ID)
				if client.HasCode(err, client.ErrorCodeNotFound) {
					return nil // erased, with its tenant perhaps
				}
				whole[i] = e
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return done, err
		}
		for _, e := range whole {
			if e != nil && e.ErasedAt == nil {
				if err := l.forward(ctx, e); err != nil {
					return done, err
				}
			}
			done++
		}
	}
	return done, nil
}

// forward forwards one event, once something listens.
func (l *listener) forward(ctx context.Context, e *client.Event) error {
	id := newDeliveryID()
	said := time.Time{}
	for {
		a := l.to.send(ctx, e, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if a.refused {
			if time.Since(said) > time.Minute {
				said = time.Now()
				fmt.Fprintf(l.say, "Nothing listens at %s: waiting with %s %s\n", l.to.host, e.Type, clean(e.ID))
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(followEvery):
			}
			continue
		}
		if a.ok {
			l.forwarded++
		} else {
			l.refused++
		}
		return writef(l.out, "%s  %-28s %-36s %s\n", time.Now().Format(time.TimeOnly), clean(e.Type), clean(e.ID), a.text)
	}
}
