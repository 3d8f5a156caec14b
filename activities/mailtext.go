package activities

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"net/mail"
	"regexp"
	"strings"
	texttemplate "text/template"
	"time"

	"waybill/webhook"
)

//go:embed templates
var mailTemplates embed.FS

var (
	mailTexts = texttemplate.Must(texttemplate.ParseFS(mailTemplates, "templates/*.txt"))
	mailHTMLs = htmltemplate.Must(htmltemplate.ParseFS(mailTemplates, "templates/*.html"))
)

// maxMailTextBytes bounds each text of others in a mail.
const maxMailTextBytes = 300

// mailPage is what the templates show. Every text is one clean line.
type mailPage struct {
	Subject            string
	Tenant, Name       string
	Endpoint, Host     string
	Exhausted          int64
	Since, LastAt      string
	LastError          string
	Disabled           bool
	DisabledAt         string
	DisabledBy, Reason string
	Failures           int
	Works              bool // the last attempt succeeded
	WorksSince         string
	Timeout, HoldFor   string
	Interval           string
	API, Link          string
}

// mail writes the mail of a plan.
func (p *noticePlan) mail(from, publicURL string) (*Mail, error) {
	n, d := p.notice, p.dialect
	page := &mailPage{
		Tenant: n.Tenant.ID, Name: mailText(n.Tenant.Name), Endpoint: n.EndpointID.String(), Host: p.host,
		Exhausted: n.Exhausted, Since: mailTime(n.Since), LastAt: mailTime(n.LastAt), LastError: mailText(n.LastError),
		Disabled: n.DisabledNow != nil, DisabledBy: disabledBy(n.DisabledBy), Reason: mailText(n.DisabledReason), DisabledAt: mailTime(n.DisabledNow),
		Failures: n.Streak.Failures, Works: n.Working(), WorksSince: mailTime(n.LastSuccessAt),
		Timeout: webhook.Duration((&webhook.Endpoint{Timeout: n.Timeout}).RequestTimeout(d)).String(), HoldFor: holdText(d.HoldFor.Std()), Interval: webhook.Duration(d.MailInterval()).String(),
		API: publicURL + "/v1/tenants/" + n.Tenant.ID,
	}
	if publicURL != "" {
		page.Link = publicURL + "/tenants/" + n.Tenant.ID + "/endpoints/" + page.Endpoint
	}
	page.Subject = d.MailSubject(&n.Tenant, p.host)
	if p.kind == MailWorks {
		page.Subject, page.WorksSince = webhook.WorksAgainSubject(&n.Tenant, p.host), mailTime(n.WorkingAt)
	}
	m := &Mail{To: n.Tenant.ContactEmail, Subject: page.Subject, ID: p.mailID(from)}
	var text, html strings.Builder
	if err := mailTexts.ExecuteTemplate(&text, p.kind+".txt", page); err != nil {
		return nil, fmt.Errorf("text: %w", err)
	}
	if err := mailHTMLs.ExecuteTemplate(&html, p.kind+".html", page); err != nil {
		return nil, fmt.Errorf("HTML: %w", err)
	}
	m.Text, m.HTML = text.String(), html.String()
	return m, nil
}

// mailID is the same whenever the same mail is written: the endpoint, how many mails came before, and when what it tells began.
func (p *noticePlan) mailID(from string) string {
	began := p.notice.Since
	if p.kind == MailWorks {
		began = p.notice.WorkingAt
	}
	var at int64
	if began != nil {
		at = began.UnixMicro()
	}
	return fmt.Sprintf("%s.%d.%d.%s@%s", p.notice.EndpointID, p.notice.Mails+1, at, p.kind, domainOf(from))
}

// domainOf is the domain of a sender, whose name may have an @ of its own.
func domainOf(from string) string {
	if sender, err := mail.ParseAddress(from); err == nil {
		from = sender.Address
	}
	return from[strings.LastIndex(from, "@")+1:]
}

// linkPattern finds links in texts of others. Their path and query may be secrets.
var linkPattern = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>]*`)

// mailText returns a text of somebody else as it may stand in a mail: one line, without links, cut.
func mailText(text string) string {
	return webhook.Cut(linkPattern.ReplaceAllString(webhook.CleanLine(text, 4*maxMailTextBytes), "[link]"), maxMailTextBytes)
}

func mailTime(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format("2 January 2006 15:04:05 UTC")
}

// disabledBy says who disabled an endpoint, for people outside.
func disabledBy(by string) string {
	switch by {
	case webhook.ByFailures:
		return "automatically"
	case webhook.ByReceiver:
		return "because it answered 410 Gone"
	case webhook.ByVerification:
		return "until it is verified"
	default: // the name of a key is of no use to them
		return "by a person"
	}
}

func holdText(hold time.Duration) string {
	if hold == 0 {
		return ""
	}
	return webhook.Duration(hold).String()
}
