package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/activity"

	"waybill/store"
	"waybill/webhook"
)

// NoticeStore is what Notices needs of store.Notices.
type NoticeStore interface {
	ReleaseNotices(ctx context.Context, endpoints []webhook.EndpointID) error
	Notice(ctx context.Context, tenant string, endpoint webhook.EndpointID) (*store.Notice, error)
	NoticeTold(ctx context.Context, t *store.Told) (bool, error)
}

// Sender sends one mail. Its errors are *MailError.
type Sender interface {
	Send(ctx context.Context, m *Mail) error
}

// NoticesOptions are the dependencies and the settings of Notices. Store, Sender and Dialects are required.
type NoticesOptions struct {
	Store  NoticeStore
	Sender Sender
	// From is the sender's address; the ids of mails end with its domain.
	From string
	// PublicURL is where people reach Waybill, without a slash at its end; "": mails have no links.
	PublicURL string
	// Dialects are all dialects that tenants may have, by name.
	Dialects map[string]*webhook.Dialect

	// Failpoint is called at "after-mail", when the server has the mail and the database does not say so, for tests that kill the
	// process there.
	Failpoint  func(name string)
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// Notices is what sends mail about the trouble of endpoints to the contacts of tenants.
type Notices struct {
	opts  NoticesOptions
	log   *slog.Logger
	mails *prometheus.CounterVec
}

// mailResults are the values of the metric's label.
var mailResults = []string{"sent", "failed", "refused", "given_up"}

// NewNotices returns Notices. Registering the metrics twice with one Registerer panics.
func NewNotices(o NoticesOptions) *Notices {
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	n := &Notices{opts: o, log: o.Logger, mails: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_mails_total",
		Help: "Mails to tenants' contacts by result: sent; failed and refused tries, which are made again; given up after refusals.",
	}, []string{"result"})}
	for _, result := range mailResults {
		n.mails.WithLabelValues(result)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(n.mails)
	}
	return n
}

// The kinds of mail.
const (
	MailTrouble = "trouble" // an endpoint is in trouble
	MailWorks   = "works"   // it works again
)

// NoticeInput asks to tell a tenant's contact what there is to tell of an endpoint.
type NoticeInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	// GiveUp leaves out for good what is to be told, because the mail server has refused it for too long.
	GiveUp bool `json:"give_up,omitempty"`
}

// NoticeResult says what was told and what is left. It has neither the contact's address nor a text of the mail server.
type NoticeResult struct {
	// Sent is the kind of mail that was sent; "": none.
	Sent string `json:"sent,omitempty"`
	// Exhausted and Disabled are what that mail told, or, where none was sent, what waits.
	Exhausted int64 `json:"exhausted,omitempty"`
	Disabled  bool  `json:"disabled,omitempty"`
	// Wait is how long what waits has to wait, because a mail was sent not long ago; 0: nothing waits.
	Wait time.Duration `json:"wait,omitempty"`
	// Refused says why the mail server does not take the mail, however often it is tried; "": it does.
	Refused string `json:"refused,omitempty"`
	// Host is the endpoint's, for people to read.
	Host string `json:"host,omitempty"`
}

// SendNotice sends the mail that is due of an endpoint, if any. A mail server that is down, slow or refuses for a reason of its own
// is an error, and Temporal tries again; that it refuses the recipient or the mail itself is a result. When the process dies between
// the mail and the mark that it was sent, it is sent once more, with the same Message-ID.
func (n *Notices) SendNotice(ctx context.Context, in NoticeInput) (*NoticeResult, error) {
	out, err := n.sendNotice(ctx, &in)
	return out, translate(ctx, n.log, "send a notice", err)
}

func (n *Notices) sendNotice(ctx context.Context, in *NoticeInput) (*NoticeResult, error) {
	if told := sentBefore(ctx); told != nil {
		if _, err := n.opts.Store.NoticeTold(ctx, told); err != nil {
			return nil, fmt.Errorf("mark the mail of an earlier try as sent: %w", err)
		}
	}
	now := n.opts.Now().UTC()
	notice, err := n.opts.Store.Notice(ctx, in.Tenant, in.EndpointID)
	switch {
	case webhook.ErrorCode(err) == webhook.CodeNotFound:
		return &NoticeResult{}, nil
	case err != nil:
		return nil, fmt.Errorf("read a notice: %w", err)
	}
	d := n.opts.Dialects[notice.Tenant.Dialect]
	if d == nil {
		return nil, webhook.Errorf(webhook.CodeUnavailable, "the tenant's dialect is not loaded")
	}
	p := planNotice(notice, d, now)
	if in.GiveUp && p.kind != "" {
		n.mails.WithLabelValues("given_up").Inc()
		n.log.Error("a mail is given up: the mail server refuses it; correct the tenant's contact_email",
			"tenant", in.Tenant, "endpoint_id", in.EndpointID, "mail", p.kind, "exhausted", notice.Exhausted)
		p.kind, p.leave = "", true
	}
	switch {
	case p.kind != "":
		return n.send(ctx, p)
	case p.leave:
		if _, err := n.opts.Store.NoticeTold(ctx, p.told(false)); err != nil {
			return nil, fmt.Errorf("leave a notice out: %w", err)
		}
	case p.wait == 0:
		if err := n.opts.Store.ReleaseNotices(ctx, []webhook.EndpointID{in.EndpointID}); err != nil {
			return nil, fmt.Errorf("release a notice: %w", err)
		}
	}
	return p.waits(), nil
}

// send sends the mail of a plan and marks it as sent.
func (n *Notices) send(ctx context.Context, p *noticePlan) (*NoticeResult, error) {
	m, err := p.mail(n.opts.From, n.opts.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("write a mail: %w", err)
	}
	out := &NoticeResult{Exhausted: p.notice.Exhausted, Disabled: p.tellsDisabled, Host: p.host}
	if err := n.opts.Sender.Send(ctx, m); err != nil {
		var failed *MailError
		if errors.As(err, &failed) && failed.Refused {
			n.mails.WithLabelValues("refused").Inc()
			n.log.Warn("the mail server refuses a mail; trying again for some days", "tenant", p.notice.Tenant.ID, "endpoint_id", p.notice.EndpointID, "error", err)
			out.Refused = failed.Says
			return out, nil
		}
		n.mails.WithLabelValues("failed").Inc()
		says := "the mail could not be sent"
		if failed != nil {
			says = failed.Says
		}
		return nil, webhook.Errorf(webhook.CodeUnavailable, "%s", says).WithCause(err)
	}
	n.mails.WithLabelValues("sent").Inc()
	told := p.told(true)
	if activity.IsActivity(ctx) {
		activity.RecordHeartbeat(ctx, told) // a next try of this activity then only marks
	}
	n.opts.Failpoint("after-mail")
	if _, err := n.opts.Store.NoticeTold(ctx, told); err != nil {
		return nil, fmt.Errorf("mark a mail as sent: %w", err)
	}
	n.log.Info("a mail was sent", "tenant", p.notice.Tenant.ID, "endpoint_id", p.notice.EndpointID, "mail", p.kind, "exhausted", p.notice.Exhausted)
	out.Sent = p.kind
	return out, nil
}

// sentBefore returns what an earlier try of this activity sent; nil: nothing that is known of.
func sentBefore(ctx context.Context) *store.Told {
	if !activity.IsActivity(ctx) || !activity.HasHeartbeatDetails(ctx) {
		return nil
	}
	told := new(store.Told)
	if activity.GetHeartbeatDetails(ctx, told) != nil {
		return nil
	}
	return told
}
