package webhook

import (
	"cmp"
	"slices"
	"time"
)

// Trouble is a kind of trouble with an endpoint that the tenant's contact is told of.
type Trouble string

// The kinds of trouble.
const (
	TroubleExhausted Trouble = "exhausted" // a delivery is exhausted
	TroubleDisabled  Trouble = "disabled"  // the endpoint is disabled
)

// Troubles lists every kind.
var Troubles = []Trouble{TroubleExhausted, TroubleDisabled}

// Limits of a dialect's alerts.
const (
	// DefaultMailInterval is the least time between two mails about an endpoint's trouble where the dialect says nothing.
	DefaultMailInterval = time.Hour

	minMailInterval = time.Minute
	maxMailInterval = 7 * 24 * time.Hour
)

// Alerts says when mail goes to the tenant's contact.
type Alerts struct {
	// On are the kinds of trouble that lead to a mail; empty: none does.
	On []Trouble `json:"on"`
	// Subject is the subject line, where {tenant_url} is replaced by the tenant's URL, or its name where it has none.
	Subject Template `json:"subject"`
	// MinInterval is the least time between two mails about the trouble of one endpoint, 1 minute to 7 days.
	MinInterval Duration `json:"min_interval"`
}

// SubjectFor returns the subject line of a mail about a tenant's webhooks.
func (a *Alerts) SubjectFor(t *Tenant) string {
	return a.Subject.text(func(string) []byte { return []byte(t.shownAs()) })
}

// shownAs is the tenant as its users know it: its URL, or its name where it has none.
func (t *Tenant) shownAs() string { return cmp.Or(t.URL, t.Name) }

// validate adds an error for every wrong field below prefix to found.
func (a *Alerts) validate(prefix string, found *problems) {
	a.Subject.validate(prefix+".subject", subjectPlaceholders, found)
	if !IsLine(string(a.Subject)) {
		found.addf(prefix+".subject", notLine)
	}
	for i, kind := range a.On {
		if !slices.Contains(Troubles, kind) {
			found.addf(indexed(prefix+".on", i), "is %q, not exhausted or disabled", kind)
		}
	}
	if a.MinInterval.Std() < minMailInterval || a.MinInterval.Std() > maxMailInterval {
		found.addf(prefix+".min_interval", "is from %s to %s, not %s", Duration(minMailInterval), Duration(maxMailInterval), a.MinInterval)
	}
}

// Tells reports whether this kind of trouble leads to a mail to the tenant's contact. Without Alerts every kind does.
func (d *Dialect) Tells(kind Trouble) bool {
	return d.Alerts == nil || slices.Contains(d.Alerts.On, kind)
}

// TellsNothing reports whether no kind of trouble leads to a mail.
func (d *Dialect) TellsNothing() bool { return d.Alerts != nil && len(d.Alerts.On) == 0 }

// MailInterval is the least time between two mails about the trouble of one endpoint.
func (d *Dialect) MailInterval() time.Duration {
	if d.Alerts == nil {
		return DefaultMailInterval
	}
	return d.Alerts.MinInterval.Std()
}

// MailSubject returns the subject line of a mail about trouble with an endpoint of the tenant. host is the endpoint's.
func (d *Dialect) MailSubject(t *Tenant, host string) string {
	if d.Alerts != nil {
		return d.Alerts.SubjectFor(t)
	}
	return "Webhook delivery issues for " + t.shownAs() + " at " + host
}

// WorksAgainSubject returns the subject line of the mail that says that an endpoint's trouble is over.
func WorksAgainSubject(t *Tenant, host string) string {
	return "Webhooks for " + t.shownAs() + " work again at " + host
}
