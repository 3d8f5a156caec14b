package activities

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"waybill/webhook"
)

// MailTLS is how the connection to the mail server is encrypted. The server's certificate is always verified.
type MailTLS string

// The ways.
const (
	MailSTARTTLS MailTLS = "starttls" // the server must offer STARTTLS
	MailTLSOnly  MailTLS = "tls"      // from the first byte
	MailPlain    MailTLS = "none"     // not at all
)

// mailPorts are the usual ports.
var mailPorts = map[MailTLS]int{MailSTARTTLS: 587, MailTLSOnly: 465, MailPlain: 25}

// Bounds of a mail.
const (
	// DefaultMailTimeout is how long a conversation with a mail server may take, from the dial to the last answer.
	DefaultMailTimeout = time.Minute

	mailDialTimeout = 15 * time.Second // of it, with the TLS handshake where the connection begins with it
	maxSubjectBytes = 500
)

// MailerOptions say how mail is sent.
type MailerOptions struct {
	// Host is the mail server. It may be private: the operator chose it.
	Host string
	// Port 0 is the usual one: 587 for starttls, 465 for tls, 25 for none.
	Port int
	TLS  MailTLS
	// User and Password authenticate; both empty: nobody does. They need TLS.
	User, Password string
	// From is the sender's address, with or without a name: "Waybill <waybill@example.com>".
	From string
	// RootCAs are trusted in place of the system's; nil: the system's.
	RootCAs *x509.CertPool
	// Timeout bounds one conversation; 0: DefaultMailTimeout.
	Timeout time.Duration
}

// Check returns what is wrong, as the rest of a sentence that begins with the field's name; "", "": nothing.
func (o *MailerOptions) Check() (field, says string) {
	from, err := mail.ParseAddress(o.From)
	_, known := mailPorts[o.TLS]
	switch {
	case strings.ContainsAny(o.Host, "/: \t\r\n@[]") && net.ParseIP(o.Host) == nil:
		return "host", "is a host name or an IP address, such as smtp.example.com; the port is a setting of its own"
	case o.Port < 0 || o.Port > 65535:
		return "port", "is from 1 to 65535"
	case !known:
		return "tls", fmt.Sprintf("is starttls, tls or none, not %q", o.TLS)
	case err != nil || !webhook.IsLine(o.From) || !strings.Contains(from.Address, "@"):
		return "from", "is required: an address such as waybill@example.com or Waybill <waybill@example.com>"
	case (o.User == "") != (o.Password == ""):
		return "user", "and the password need each other"
	case o.Password != "" && o.TLS == MailPlain:
		return "password", "would be readable on the way: choose starttls or tls"
	default:
		return "", ""
	}
}

// Mail is one mail.
type Mail struct {
	// To is an address without a name.
	To      string
	Subject string
	// Text and HTML say the same.
	Text, HTML string
	// ID is the Message-ID without angle brackets. The same mail has the same ID when it is sent again.
	ID string
}

// MailError says why a mail was not sent.
type MailError struct {
	// Code is what the server answered; 0: nothing.
	Code int
	// Refused says that the server will not take this mail for this recipient, however often it is tried.
	Refused bool
	// Says is for people and quotes nobody.
	Says  string
	cause error
	// quotes is the text of cause as it may be shown; "": as it is.
	quotes string
}

// Error returns the text with its cause, for the log. A server may quote the login in its answer, which is left out.
func (e *MailError) Error() string { return e.Says + ": " + cmp.Or(e.quotes, fmt.Sprint(e.cause)) }

// Unwrap returns the cause.
func (e *MailError) Unwrap() error { return e.cause }

// Mailer sends mail by SMTP, each in a conversation of its own. It is safe for concurrent use.
type Mailer struct{ opts MailerOptions }

// NewMailer returns a Mailer. It fails for options that Check refuses.
func NewMailer(o MailerOptions) (*Mailer, error) {
	if field, says := o.Check(); field != "" {
		return nil, fmt.Errorf("the mail server's %s %s", field, says)
	}
	o.Port = cmp.Or(o.Port, mailPorts[o.TLS])
	o.Timeout = cmp.Or(o.Timeout, DefaultMailTimeout)
	return &Mailer{opts: o}, nil
}

// Address is the mail server's host and port.
func (m *Mailer) Address() string { return net.JoinHostPort(m.opts.Host, fmt.Sprint(m.opts.Port)) }

// Send sends one mail. An error is a *MailError. Without an error the server has taken the mail.
func (m *Mailer) Send(ctx context.Context, in *Mail) error {
	message, err := m.compose(in)
	if err != nil {
		return &MailError{Refused: true, Says: "the contact's address is none that mail can be sent to", cause: err}
	}
	return m.converse(ctx, func(ctx context.Context, c *gomail.Client) error {
		// Once the server has taken the mail, what goes wrong with the goodbye is of no interest.
		if err := c.DialAndSendWithContext(ctx, message); err != nil && !message.IsDelivered() {
			return err
		}
		return nil
	})
}

// Greet connects as Send does, with TLS and the login, and sends nothing. An error is a *MailError.
func (m *Mailer) Greet(ctx context.Context) error {
	return m.converse(ctx, func(ctx context.Context, c *gomail.Client) error { return c.DialWithContext(ctx) })
}

// converse has one conversation with the mail server, within the time of one mail.
func (m *Mailer) converse(ctx context.Context, do func(context.Context, *gomail.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, m.opts.Timeout)
	defer cancel()
	// go-mail leaves a connection open when the conversation fails, and extends its deadline with each command.
	wire := &mailWire{timeout: min(mailDialTimeout, m.opts.Timeout)}
	defer wire.close()
	defer context.AfterFunc(ctx, wire.close)()
	if m.opts.TLS == MailTLSOnly {
		wire.tls = m.tls()
	}
	c, err := m.client(wire)
	if err != nil {
		return &MailError{Says: "the mail server's settings do not do", cause: err}
	}
	if err := do(ctx, c); err != nil {
		failed := mailError(ctx, err)
		failed.quotes = m.withoutLogin(err.Error())
		return failed
	}
	return nil
}

// withoutLogin takes the password out of a text, as it is and as a login sends it.
func (m *Mailer) withoutLogin(text string) string {
	if m.opts.Password == "" {
		return text
	}
	sent := base64.StdEncoding.EncodeToString
	login := []string{m.opts.Password, sent([]byte(m.opts.Password)), sent([]byte("\x00" + m.opts.User + "\x00" + m.opts.Password))} // LOGIN, PLAIN
	for _, secret := range spellings(login) {
		text = strings.ReplaceAll(text, secret, redacted)
	}
	return text
}

// compose returns the message. It fails when an address is none.
func (m *Mailer) compose(in *Mail) (*gomail.Msg, error) {
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := message.From(m.opts.From); err != nil {
		return nil, err
	}
	to, err := mail.ParseAddress(in.To)
	if err != nil {
		return nil, err
	}
	if !webhook.IsLine(to.Address) || to.Name != "" {
		return nil, errors.New("the address is not one line, or has a name")
	}
	if err := message.To(to.Address); err != nil {
		return nil, err
	}
	message.Subject(webhook.CleanLine(in.Subject, maxSubjectBytes))
	message.SetDate()
	message.SetMessageIDWithValue(in.ID)
	// A vacation notice in answer to it would reach nobody (RFC 3834).
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	message.SetGenHeader("X-Auto-Response-Suppress", "All")
	message.SetBodyString(gomail.TypeTextPlain, in.Text)
	message.AddAlternativeString(gomail.TypeTextHTML, in.HTML)
	return message, nil
}

func (m *Mailer) tls() *tls.Config {
	return &tls.Config{ServerName: m.opts.Host, RootCAs: m.opts.RootCAs, MinVersion: tls.VersionTLS12}
}

func (m *Mailer) client(wire *mailWire) (*gomail.Client, error) {
	policy := gomail.NoTLS
	if m.opts.TLS == MailSTARTTLS {
		policy = gomail.TLSMandatory
	}
	options := []gomail.Option{
		gomail.WithPort(m.opts.Port), gomail.WithTimeout(m.opts.Timeout), gomail.WithTLSConfig(m.tls()), gomail.WithTLSPolicy(policy),
		gomail.WithDialContextFunc(wire.dial), gomail.WithoutNoop(),
	}
	if m.opts.TLS == MailTLSOnly {
		options = append(options, gomail.WithSSL())
	}
	if m.opts.Password != "" {
		// The strongest that the server offers. NewMailer saw to it that a password goes over TLS alone.
		options = append(options, gomail.WithUsername(m.opts.User), gomail.WithPassword(m.opts.Password), gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover))
	}
	return gomail.NewClient(m.opts.Host, options...)
}

// mailError says what went wrong without a word of the server, which may quote the recipient.
func mailError(ctx context.Context, err error) *MailError {
	var sent *gomail.SendError
	var network net.Error
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	var answer *textproto.Error
	switch {
	case errors.As(err, &sent) && sent.ErrorCode() >= 500:
		// The sender may be refused for what an operator can mend; the recipient and the mail itself will be refused again.
		ours := sent.Reason == gomail.ErrSMTPMailFrom
		return &MailError{Code: sent.ErrorCode(), Refused: !ours, Says: fmt.Sprintf("the mail server refuses the mail with %d", sent.ErrorCode()), cause: err}
	case errors.As(err, &sent) && sent.ErrorCode() > 0:
		return &MailError{Code: sent.ErrorCode(), Says: fmt.Sprintf("the mail server puts the mail off with %d", sent.ErrorCode()), cause: err}
	case errors.As(err, &answer):
		return &MailError{Code: answer.Code, Says: fmt.Sprintf("the mail server ends the conversation with %d", answer.Code), cause: err}
	case errors.As(err, &certificate):
		return &MailError{Says: "the mail server's certificate is not trusted", cause: err}
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return &MailError{Says: "the mail server does not answer in time", cause: err}
	case errors.As(err, &dial) && dial.Op == "dial":
		return &MailError{Says: "the mail server cannot be reached", cause: err}
	default:
		return &MailError{Says: "the conversation with the mail server failed", cause: err}
	}
}
