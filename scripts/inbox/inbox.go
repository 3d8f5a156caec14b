// Package inbox is a mail server that keeps what it gets, for people who try Waybill on their machine and for tests. It is no part
// of Waybill and imports nothing of it.
package inbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"golang.org/x/net/netutil"
)

// Bounds of an inbox.
const (
	// Kept is how many mails are kept, the latest.
	Kept = 200

	maxMailBytes   = 1 << 20
	maxConnections = 64
	idleTimeout    = time.Minute
)

// Options say how the server behaves.
type Options struct {
	// Addr is where it listens; "": some free port of the loopback address.
	Addr string
	// Certificate lets it speak TLS: after STARTTLS, or with Implicit from the first byte. Nil: it speaks none.
	Certificate *tls.Certificate
	Implicit    bool
	// User and Password are asked for, over TLS alone; "": nobody has to say who they are.
	User, Password string
	// Auth may refuse a login that is right; nil: none is refused.
	Auth func(user, password string) error
	// Rcpt may refuse a recipient, and Got a mail that has arrived, or take its time; nil: every one is taken. A *smtp.SMTPError is
	// answered as it is. What is refused is not kept.
	Rcpt func(to string) error
	Got  func(m *Mail) error
}

// Inbox is a running server.
type Inbox struct {
	opts     Options
	listener net.Listener
	server   *smtp.Server

	mu    sync.Mutex
	mails []*Mail
	count int
}

// Start starts a server that runs until Close.
func Start(ctx context.Context, o Options) (*Inbox, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	b := &Inbox{opts: o, listener: l}
	b.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{inbox: b, conn: c}, nil
	}))
	b.server.Domain, b.server.MaxMessageBytes, b.server.MaxRecipients = "localhost", maxMailBytes, 10
	b.server.ReadTimeout, b.server.WriteTimeout = idleTimeout, idleTimeout
	b.server.ErrorLog = quiet{}
	l = netutil.LimitListener(l, maxConnections)
	if o.Certificate != nil {
		config := &tls.Config{Certificates: []tls.Certificate{*o.Certificate}, MinVersion: tls.VersionTLS12}
		if o.Implicit {
			l = tls.NewListener(l, config)
		} else {
			b.server.TLSConfig = config
		}
	}
	go func() { _ = b.server.Serve(l) }() // it ends with Close
	return b, nil
}

// quiet drops what the server says of connections that broke.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// Port is where the server listens.
func (b *Inbox) Port() int { return b.listener.Addr().(*net.TCPAddr).Port }

// Close ends the server and every conversation.
func (b *Inbox) Close() error {
	err := b.server.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}

// Mails returns what was taken, the latest last, Kept at most.
func (b *Inbox) Mails() []*Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mails)
}

// Mail returns the mail with this number, if it is kept.
func (b *Inbox) Mail(number int) (*Mail, bool) {
	for _, m := range b.Mails() {
		if m.Number == number {
			return m, true
		}
	}
	return nil, false
}

func (b *Inbox) keep(m *Mail) error {
	if b.opts.Got != nil {
		if err := b.opts.Got(m); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	m.Number = b.count
	b.mails = append(b.mails, m)
	b.mails = slices.Delete(b.mails, 0, max(0, len(b.mails)-Kept))
	return nil
}

// session is one conversation.
type session struct {
	inbox *Inbox
	conn  *smtp.Conn
	user  string
	from  string
	to    []string
}

func (s *session) Reset()        { s.from, s.to = "", nil }
func (s *session) Logout() error { return nil }

func (s *session) AuthMechanisms() []string {
	if s.inbox.opts.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.inbox.opts.User || password != s.inbox.opts.Password {
			return smtp.ErrAuthFailed
		}
		if s.inbox.opts.Auth != nil {
			if err := s.inbox.opts.Auth(user, password); err != nil {
				return err
			}
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.inbox.opts.User != "" && s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.inbox.opts.Rcpt != nil {
		if err := s.inbox.opts.Rcpt(to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := read(raw)
	if err != nil {
		return &smtp.SMTPError{Code: 554, Message: "this is no mail: " + err.Error()}
	}
	m.At, m.From, m.To, m.User = time.Now(), s.from, slices.Clone(s.to), s.user
	_, m.TLS = s.conn.TLSConnectionState()
	return s.inbox.keep(m)
}
