package inbox

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// Mail is a mail as it arrived.
type Mail struct {
	// Number counts from 1.
	Number int
	At     time.Time
	// From and To are of the envelope; User is who authenticated, and TLS whether the conversation was encrypted.
	From string
	To   []string
	User string
	TLS  bool

	Raw    []byte
	Header mail.Header
	// Subject, Text and HTML are decoded.
	Subject, Text, HTML string
}

// read takes a mail apart.
func read(raw []byte) (*Mail, error) {
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	m := &Mail{Raw: raw, Header: parsed.Header}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return nil, fmt.Errorf("the subject: %w", err)
	}
	return m, m.part(textproto.MIMEHeader(parsed.Header), parsed.Body, 0)
}

// part reads a body, or each part of it.
func (m *Mail) part(header textproto.MIMEHeader, body io.Reader, depth int) error {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < 5 {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("a part: %w", err)
			}
			if err := m.part(p.Header, p, depth+1); err != nil {
				return err
			}
		}
	}
	if strings.EqualFold(header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("the text: %w", err)
	}
	switch kind {
	case "text/plain":
		m.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	case "text/html":
		m.HTML = string(text)
	}
	return nil
}
