package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"waybill/scripts/inbox"
	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

// ownMailServer says that mail goes to a server of the person who runs this.
func ownMailServer() bool { return os.Getenv("WAYBILL_SMTP_HOST") != "" }

// localInbox catches mail inside this program and shows it on a page.
type localInbox struct {
	inbox *inbox.Inbox
	page  *http.Server
}

// startInbox starts the inbox; nil where mail goes elsewhere. It prints each mail's subject, or the whole.
func startInbox(ctx context.Context, s *stack.Stack, whole bool) (*localInbox, error) {
	if ownMailServer() {
		return nil, nil
	}
	b, err := inbox.Start(ctx, inbox.Options{Got: func(m *inbox.Mail) error {
		s.Out.Say("%s  mail to %s: %s", time.Now().Format("15:04:05.000"), strings.Join(m.To, ", "), receiver.Shorten(m.Subject, 200))
		if whole {
			s.Out.Say("%s", indent(m.Text))
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Ports.Mail.Addr())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("show the mail: %w", err), b.Close())
	}
	page := &http.Server{Handler: b, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go func() { _ = page.Serve(l) }() // it ends with Close
	return &localInbox{inbox: b, page: page}, nil
}

// env makes Waybill send its mail here.
func (i *localInbox) env() []string {
	if i == nil {
		return nil
	}
	return []string{
		"WAYBILL_SMTP_HOST=127.0.0.1", fmt.Sprintf("WAYBILL_SMTP_PORT=%d", i.inbox.Port()), "WAYBILL_SMTP_TLS=none",
		"WAYBILL_SMTP_USER=", "WAYBILL_SMTP_PASSWORD=", "WAYBILL_SMTP_FROM=Waybill <waybill@localhost.localdomain>",
	}
}

// Close ends the inbox.
func (i *localInbox) Close() error {
	if i == nil {
		return nil
	}
	return errors.Join(i.page.Close(), i.inbox.Close())
}

// indent sets a text apart from the lines around it.
func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}
