package activities

import (
	"time"

	"waybill/store"
	"waybill/webhook"
)

// noticePlan says what to do about a notice: send a mail of a kind, wait, or leave it out.
type noticePlan struct {
	notice  *store.Notice
	dialect *webhook.Dialect
	now     time.Time
	host    string

	kind string
	// tellsDisabled says that the mail tells of the disabling.
	tellsDisabled bool
	// wait is how long trouble has to wait for its mail.
	wait time.Duration
	// leave takes out what is not to be told, stale only that the endpoint works, which it no longer does.
	leave, stale bool
}

// planNotice decides what is to be told of an endpoint now. That it works again is told at once; its trouble only when the last mail
// about trouble is old enough. What is over before anybody was told of it is not told: a disabling that a person undid.
func planNotice(n *store.Notice, d *webhook.Dialect, now time.Time) *noticePlan {
	p := &noticePlan{notice: n, dialect: d, now: now, host: (&webhook.Endpoint{URL: n.URL}).Host()}
	p.tellsDisabled = n.DisabledAt != nil && n.DisabledNow != nil && d.Tells(webhook.TroubleDisabled)
	trouble := p.tellsDisabled || n.Exhausted > 0 && d.Tells(webhook.TroubleExhausted)
	if n.SentAt != nil {
		p.wait = max(0, n.SentAt.Add(d.MailInterval()).Sub(now))
	}
	switch works := n.InTrouble && n.WorkingAt != nil && n.DisabledNow == nil && n.Streak.Failures == 0; {
	case !n.Due:
		p.wait = 0
	case works:
		p.kind, p.wait = MailWorks, 0
	case trouble && p.wait == 0:
		p.kind = MailTrouble
	case trouble && n.WorkingAt != nil:
		p.leave, p.stale = true, true
	case !trouble:
		p.leave, p.wait = true, 0
	}
	return p
}

// told is the mark after the plan was carried out.
func (p *noticePlan) told(sent bool) *store.Told {
	n := p.notice
	t := &store.Told{
		Tenant: n.Tenant.ID, EndpointID: n.EndpointID, Mails: n.Mails, Exhausted: n.Exhausted, DisabledAt: n.DisabledAt,
		Sent: sent, InTrouble: n.InTrouble, ReadAt: p.now, At: p.now,
	}
	switch {
	case p.stale:
		t.Exhausted, t.DisabledAt = 0, nil
	case sent:
		t.Trouble = p.kind == MailTrouble
		t.InTrouble = t.Trouble && !n.Working()
	}
	return t
}

// waits is the result of a plan that sends nothing.
func (p *noticePlan) waits() *NoticeResult {
	if p.wait == 0 {
		return &NoticeResult{Host: p.host}
	}
	return &NoticeResult{Exhausted: p.notice.Exhausted, Disabled: p.tellsDisabled, Wait: p.wait, Host: p.host}
}
