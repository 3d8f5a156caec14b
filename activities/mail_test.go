package activities_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/scripts/inbox"
	"waybill/scripts/receiver"
)

// mailServer starts a mail server with a certificate, and returns the options of a mailer that trusts it.
func mailServer(t *testing.T, o inbox.Options) (*inbox.Inbox, activities.MailerOptions) {
	t.Helper()
	a, err := receiver.NewAuthority()
	require.NoError(t, err)
	cert, err := a.Certificate()
	require.NoError(t, err)
	if o.Certificate == nil {
		o.Certificate = &cert
	}
	b, err := inbox.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(a.PEM()))
	return b, activities.MailerOptions{
		Host: "127.0.0.1", Port: b.Port(), TLS: activities.MailSTARTTLS, From: "Waybill <waybill@example.com>", RootCAs: roots, Timeout: 10 * time.Second,
	}
}

func mailer(t *testing.T, o activities.MailerOptions) *activities.Mailer {
	t.Helper()
	m, err := activities.NewMailer(o)
	require.NoError(t, err)
	return m
}

func someMail() *activities.Mail {
	return &activities.Mail{
		To: "ops@acme.example", Subject: "Tradly webhook delivery issues for https://tradly.app", Text: "How it is: åäö\n", HTML: "<p>How it is: åäö</p>",
		ID: "ep_1.1@example.com",
	}
}

// notSent expects an error and returns it.
func notSent(t *testing.T, m *activities.Mailer, in *activities.Mail) *activities.MailError {
	t.Helper()
	err := m.Send(t.Context(), in)
	var failed *activities.MailError
	require.ErrorAs(t, err, &failed)
	require.NotContains(t, failed.Says, "acme.example")
	return failed
}

// What a server quotes of the login is in no error, however the login was sent.
func TestMailer_Send_quotesNoLogin(t *testing.T) {
	t.Parallel()
	const password = `hush&"hush"`
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00waybill\x00" + password))
	_, o := mailServer(t, inbox.Options{User: "waybill", Password: password, Auth: func(_, given string) error {
		return &smtp.SMTPError{Code: 535, Message: "cannot take AUTH PLAIN " + encoded + " which is " + given + " nor " + base64.StdEncoding.EncodeToString([]byte(given))}
	}})
	o.User, o.Password = "waybill", password
	failed := notSent(t, mailer(t, o), someMail())
	require.Equal(t, 535, failed.Code)
	require.Contains(t, failed.Error(), "cannot take AUTH PLAIN [redacted] which is [redacted] nor [redacted]")
}

func TestMailer_Send(t *testing.T) {
	t.Parallel()
	b, o := mailServer(t, inbox.Options{User: "waybill", Password: "hush-hush"})
	o.User, o.Password = "waybill", "hush-hush"
	require.NoError(t, mailer(t, o).Send(t.Context(), someMail()))
	got := b.Mails()
	require.Len(t, got, 1)
	m := got[0]
	require.True(t, m.TLS)
	require.Equal(t, "waybill", m.User)
	require.Equal(t, "waybill@example.com", m.From)
	require.Equal(t, []string{"ops@acme.example"}, m.To)
	require.Contains(t, string(m.Raw), "\r\nSubject: Tradly webhook delivery issues for https://tradly.app\r\n", "to the letter")
	require.Contains(t, m.Header.Get("From"), "Waybill")
	require.Equal(t, "<ep_1.1@example.com>", m.Header.Get("Message-ID"))
	require.Equal(t, "auto-generated", m.Header.Get("Auto-Submitted"))
	require.NotEmpty(t, m.Header.Get("Date"))
	require.Equal(t, "How it is: åäö\n", m.Text)
	require.Contains(t, m.HTML, "åäö")
	require.NotContains(t, string(m.Raw), "hush-hush")
	require.NotContains(t, strings.ToLower(string(m.Raw)), "go-mail")
}

func TestMailer_ImplicitTLSAndNone(t *testing.T) {
	t.Parallel()
	b, o := mailServer(t, inbox.Options{Implicit: true})
	o.TLS = activities.MailTLSOnly
	require.NoError(t, mailer(t, o).Send(t.Context(), someMail()))
	require.True(t, b.Mails()[0].TLS)

	plain, err := inbox.Start(t.Context(), inbox.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	o = activities.MailerOptions{Host: "127.0.0.1", Port: plain.Port(), TLS: activities.MailPlain, From: "waybill@example.com"}
	require.NoError(t, mailer(t, o).Send(t.Context(), someMail()))
	require.False(t, plain.Mails()[0].TLS)
	o.TLS = activities.MailSTARTTLS
	require.Equal(t, "the conversation with the mail server failed", notSent(t, mailer(t, o), someMail()).Says, "no mail goes out without the TLS that was asked for")
	require.Len(t, plain.Mails(), 1)
}

func TestMailer_Certificate(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{false, true} {
		b, o := mailServer(t, inbox.Options{Implicit: implicit, User: "waybill", Password: "hush-hush"})
		o.RootCAs, o.User, o.Password = nil, "waybill", "hush-hush" // the system does not know the authority
		if implicit {
			o.TLS = activities.MailTLSOnly
		}
		require.Equal(t, "the mail server's certificate is not trusted", notSent(t, mailer(t, o), someMail()).Says)
		require.Empty(t, b.Mails())
	}
}

// Whether a later try can help decides what happens to a mail, so it is told apart.
func TestMailer_Refused(t *testing.T) {
	t.Parallel()
	b, o := mailServer(t, inbox.Options{
		User: "waybill", Password: "hush-hush",
		Rcpt: func(to string) error {
			switch {
			case strings.HasPrefix(to, "nobody"):
				return &smtp.SMTPError{Code: 550, Message: "there is no nobody@acme.example"}
			case strings.HasPrefix(to, "grey"):
				return &smtp.SMTPError{Code: 451, Message: "come again"}
			}
			return nil
		},
		Got: func(m *inbox.Mail) error {
			if strings.Contains(m.Subject, "offer") {
				return &smtp.SMTPError{Code: 554, Message: "spam for ops@acme.example"}
			}
			return nil
		},
	})
	o.User, o.Password = "waybill", "hush-hush"
	m := mailer(t, o)
	nobody, grey, offer := someMail(), someMail(), someMail()
	nobody.To, grey.To, offer.Subject = "nobody@acme.example", "grey@acme.example", "An offer"
	failed := notSent(t, m, nobody)
	require.True(t, failed.Refused)
	require.Equal(t, "the mail server refuses the mail with 550", failed.Says)
	failed = notSent(t, m, grey)
	require.False(t, failed.Refused)
	require.Equal(t, "the mail server puts the mail off with 451", failed.Says)
	failed = notSent(t, m, offer)
	require.True(t, failed.Refused)
	require.Equal(t, 554, failed.Code)

	o.Password = "wrong"
	failed = notSent(t, mailer(t, o), someMail())
	require.False(t, failed.Refused, "an operator mends it")
	require.Equal(t, "the mail server ends the conversation with 535", failed.Says)
	require.NotContains(t, failed.Error(), "wrong")
	require.Empty(t, b.Mails())
}

// dying accepts connections and treats each as the test says.
func dying(t *testing.T, treat func(net.Conn)) activities.MailerOptions {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			go treat(c)
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-done
	})
	return activities.MailerOptions{
		Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: activities.MailPlain, From: "waybill@example.com", Timeout: 500 * time.Millisecond,
	}
}

// talk plays a mail server by its lines: before each but the first it reads a line of the client's.
func talk(c net.Conn, lines ...string) {
	in := bufio.NewScanner(c)
	for i, line := range lines {
		if i > 0 && !in.Scan() {
			break
		}
		fmt.Fprint(c, line)
	}
}

// A server that says nothing, says it slowly for ever, or dies, costs no more than the time for a conversation.
func TestMailer_SlowAndDying(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		treat func(net.Conn)
		says  string
	}{
		"silent": {func(net.Conn) {}, "the mail server does not answer in time"},
		"slow without end": {func(c net.Conn) {
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(c, "220-%d\r\n", i); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond) // slower than no server, faster than any deadline of one command
			}
		}, "the mail server does not answer in time"},
		"dies at once": {func(c net.Conn) { _ = c.Close() }, "the conversation with the mail server failed"},
		"dies later": {func(c net.Conn) {
			talk(c, "220 hello\r\n", "250 hello\r\n", "250 sender\r\n")
			_ = c.Close()
		}, "the conversation with the mail server failed"},
		"is busy": {func(c net.Conn) { talk(c, "421 too many\r\n") }, "the mail server ends the conversation with 421"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := dying(t, test.treat)
			if test.says != "the mail server does not answer in time" {
				o.Timeout = 10 * time.Second
			}
			failed := notSent(t, mailer(t, o), someMail())
			require.Equal(t, test.says, failed.Says, "%v", failed)
			require.False(t, failed.Refused)
		})
	}
	closed := dying(t, func(net.Conn) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Port = l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	require.Equal(t, "the mail server cannot be reached", notSent(t, mailer(t, closed), someMail()).Says)
}

// A mail that the server has taken is sent, whatever happens to the connection afterwards.
func TestMailer_DiesAfterTaking(t *testing.T) {
	t.Parallel()
	o := dying(t, func(c net.Conn) {
		defer c.Close()
		in := bufio.NewScanner(c)
		fmt.Fprint(c, "220 hello\r\n")
		for in.Scan() {
			switch line := in.Text(); {
			case line == ".":
				fmt.Fprint(c, "250 taken\r\n")
				return
			case strings.HasPrefix(line, "DATA"):
				fmt.Fprint(c, "354 go on\r\n")
			case strings.HasPrefix(line, "EHLO"), strings.HasPrefix(line, "MAIL"), strings.HasPrefix(line, "RCPT"):
				fmt.Fprint(c, "250 yes\r\n")
			}
		}
	})
	o.Timeout = 10 * time.Second
	require.NoError(t, mailer(t, o).Send(t.Context(), someMail()))
}

func TestMailer_Canceled(t *testing.T) {
	t.Parallel()
	o := dying(t, func(net.Conn) {})
	o.Timeout = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.Error(t, mailer(t, o).Send(ctx, someMail()))
}

// Texts of others cannot add a line to the header or to the conversation.
func TestMailer_Injection(t *testing.T) {
	t.Parallel()
	b, o := mailServer(t, inbox.Options{})
	m := mailer(t, o)
	in := someMail()
	in.Subject = "Acme\r\nBcc: victim@else.example\r\n\r\nbody \u202e" + strings.Repeat("x", 3000)
	in.Text = "line\r\n.\r\nMAIL FROM:<evil@else.example>\r\n"
	require.NoError(t, m.Send(t.Context(), in))
	got := b.Mails()
	require.Len(t, got, 1)
	require.Equal(t, []string{"ops@acme.example"}, got[0].To)
	require.Empty(t, got[0].Header.Get("Bcc"))
	require.True(t, strings.HasPrefix(got[0].Subject, "Acme  Bcc: victim@else.example    body "), got[0].Subject)
	require.LessOrEqual(t, len(got[0].Subject), 500)
	require.Contains(t, got[0].Text, "line\n.\nMAIL FROM:<evil@else.example>\n")

	for _, to := range []string{
		"ops@acme.example\r\nBcc: victim@else.example", "ops@acme.example, victim@else.example", "a@b.c> SIZE=1\r\nRCPT TO:<victim@else.example",
		"Ops <ops@acme.example>", "", "@", "ops", "\"a\r\nb\"@acme.example",
	} {
		in := someMail()
		in.To = to
		require.True(t, notSent(t, m, in).Refused, "%q", to)
	}
	require.Len(t, b.Mails(), 1)
}

func TestNewMailer_Check(t *testing.T) {
	t.Parallel()
	good := activities.MailerOptions{Host: "smtp.example.com", TLS: activities.MailSTARTTLS, From: "waybill@example.com"}
	require.Equal(t, "smtp.example.com:587", mailer(t, good).Address())
	for field, change := range map[string]func(*activities.MailerOptions){
		"host": func(o *activities.MailerOptions) { o.Host = "smtp://smtp.example.com" }, "port": func(o *activities.MailerOptions) { o.Port = 65536 },
		"tls": func(o *activities.MailerOptions) { o.TLS = "ssl" }, "from": func(o *activities.MailerOptions) { o.From = "waybill" },
		"user": func(o *activities.MailerOptions) { o.User = "waybill" },
		"password": func(o *activities.MailerOptions) {
			o.User, o.Password, o.TLS = "waybill", "hush-hush", activities.MailPlain
		},
	} {
		bad := good
		change(&bad)
		_, err := activities.NewMailer(bad)
		require.ErrorContains(t, err, "the mail server's "+field)
		require.NotContains(t, err.Error(), "hush-hush")
	}
	for tls, want := range map[activities.MailTLS]string{activities.MailTLSOnly: "[::1]:465", activities.MailPlain: "[::1]:25"} {
		o := good
		o.Host, o.TLS = "::1", tls
		require.Equal(t, want, mailer(t, o).Address())
	}
}
