package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"waybill/activities"
	"waybill/webhook"
	"waybill/worker"
)

// checkMail checks what mail needs. The public URL is taken without a slash at its end.
func (s *settings) checkMail(wrong func(variable, format string, args ...any)) {
	s.PublicURL = strings.TrimRight(s.PublicURL, "/")
	if s.PublicURL != "" && !isPublicURL(s.PublicURL) {
		wrong("WAYBILL_PUBLIC_URL", "is an http or https URL without user name, query and fragment, such as https://waybill.example.com")
	}
	if s.SMTPHost == "" {
		for _, given := range []struct {
			variable string
			set      bool
		}{
			{"WAYBILL_SMTP_PORT", s.SMTPPort != 0}, {"WAYBILL_SMTP_USER", s.SMTPUser != ""},
			{"WAYBILL_SMTP_PASSWORD", s.SMTPPassword != ""}, {"WAYBILL_SMTP_FROM", s.SMTPFrom != ""},
		} {
			if given.set {
				wrong(given.variable, "is set without WAYBILL_SMTP_HOST, so that no mail would be sent")
			}
		}
		return
	}
	o := s.mailerOptions()
	if field, says := o.Check(); field != "" {
		wrong("WAYBILL_SMTP_"+strings.ToUpper(field), "%s", says)
	}
}

func isPublicURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && !u.ForceQuery &&
		!strings.Contains(text, "#") && webhook.IsLine(text) && !strings.ContainsAny(text, " \"<>") && len(text) <= webhook.MaxURLBytes
}

func (s *settings) mailerOptions() activities.MailerOptions {
	return activities.MailerOptions{
		Host: s.SMTPHost, Port: s.SMTPPort, TLS: activities.MailTLS(s.SMTPTLS), User: s.SMTPUser, Password: s.SMTPPassword, From: s.SMTPFrom,
	}
}

// newNotices returns what sends mail; nil: mail is off.
func (p *process) newNotices() (*activities.Notices, error) {
	if p.SMTPHost == "" {
		p.log.Info("mail is off: WAYBILL_SMTP_HOST is not set")
		return nil, nil
	}
	mailer, err := activities.NewMailer(p.mailerOptions())
	if err != nil {
		return nil, fmt.Errorf("WAYBILL_SMTP_HOST: %w", err)
	}
	p.log.Info("mail is on", "server", mailer.Address(), "tls", p.SMTPTLS)
	return activities.NewNotices(activities.NoticesOptions{
		Store: p.store, Sender: mailer, From: p.SMTPFrom, PublicURL: p.PublicURL, Dialects: p.catalogue.dialects,
		Failpoint: p.failpoint, Logger: p.log, Registerer: p.metrics, Now: p.clock.now,
	}), nil
}

// watchNotices sets mail going where this process sends it, and deletes what nobody is to be told.
func (p *process) watchNotices(ctx context.Context, mail bool) {
	o := worker.NoticesOptions{Store: p.store, Dialects: p.catalogue.dialects, Logger: p.log}
	if mail {
		o.Waker = p.engine
	}
	worker.NewNotices(o).Run(ctx)
}
