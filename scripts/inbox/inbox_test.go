package inbox_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/scripts/inbox"
)

func start(t *testing.T) (*inbox.Inbox, func(subject, body string) error) {
	t.Helper()
	b, err := inbox.Start(t.Context(), inbox.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b, func(subject, body string) error {
		text := "From: a@b.example\r\nTo: ops@acme.example\r\nSubject: " + subject + "\r\n" + body
		return smtp.SendMail(net.JoinHostPort("127.0.0.1", fmt.Sprint(b.Port())), nil, "a@b.example", []string{"ops@acme.example"}, []byte(text))
	}
}

const parts = "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=UTF-8\r\n" +
	"Content-Transfer-Encoding: quoted-printable\r\n\r\nHow it is: =C3=A5\r\n--x\r\nContent-Type: text/html\r\n\r\n<script>alert(1)</script><p>html</p>\r\n--x--\r\n"

func TestInbox(t *testing.T) {
	t.Parallel()
	b, send := start(t)
	require.NoError(t, send("=?utf-8?q?Caf=C3=A9?=", parts))
	got := b.Mails()
	require.Len(t, got, 1)
	require.Equal(t, "Café", got[0].Subject)
	require.Equal(t, "How it is: å", got[0].Text)
	require.Contains(t, got[0].HTML, "<p>html</p>")
	require.Equal(t, []string{"ops@acme.example"}, got[0].To)

	page := httptest.NewServer(b)
	t.Cleanup(page.Close)
	for path, want := range map[string]string{
		"/": `<a href="/1">Café</a>`, "/1": "How it is: å", "/1.html": "<p>html</p>", "/1.eml": "Subject: =?utf-8?q?Caf=C3=A9?=",
	} {
		res, err := http.Get(page.URL + path)
		require.NoError(t, err)
		var text strings.Builder
		require.NoError(t, res.Write(&text))
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode, path)
		require.Contains(t, text.String(), want, path)
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "default-src 'none'")
		if path != "/1.html" && path != "/1.eml" {
			require.NotContains(t, text.String(), "<script>")
		}
	}
	for _, path := range []string{"/2", "/x", "/1.exe"} {
		res, err := http.Get(page.URL + path)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 404, res.StatusCode, path)
	}
}

// It keeps the latest, and takes no mail that is larger than it can hold.
func TestInbox_Bounds(t *testing.T) {
	t.Parallel()
	b, send := start(t)
	require.Error(t, send("large", "\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 16<<10)))
	for n := range inbox.Kept + 3 {
		require.NoError(t, send(fmt.Sprint("mail ", n+1), "\r\ntext\r\n"))
	}
	got := b.Mails()
	require.Len(t, got, inbox.Kept)
	require.Equal(t, "mail 4", got[0].Subject)
	_, known := b.Mail(3)
	require.False(t, known)
	m, known := b.Mail(inbox.Kept + 3)
	require.True(t, known)
	require.Equal(t, fmt.Sprint("mail ", inbox.Kept+3), m.Subject)
}
