package worker

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"waybill/webhook"
)

// Intervals and sizes of the notices.
const (
	noticeInterval = time.Second
	noticePage     = 200
	// noticeLease is how long an endpoint's workflow is left alone with what it was told. Then it is told again, because it may be
	// lost. Each telling is a signal of a run that a mail server may keep for days.
	noticeLease   = 10 * time.Minute
	workingEvery  = 15 * time.Second
	forgetEvery   = 20 * time.Second
	noticesToLook = 1000
	// noticeKept is how long a notice waits for a process that sends mail.
	noticeKept = 7 * 24 * time.Hour
)

// Notices wakes the workflows that send mail about endpoints, and keeps what nobody is to be told from piling up. Several processes
// may do it at the same time.
type Notices struct {
	opts   NoticesOptions
	silent []string
}

// NoticesOptions are the dependencies and the settings of Notices.
type NoticesOptions struct {
	Store NoticeStore
	// Waker wakes the workflows; nil: this process sends no mail, and only deletes what nobody is to be told.
	Waker NoticeWaker
	// Dialects are all dialects that tenants may have, by name.
	Dialects map[string]*webhook.Dialect
	Logger   *slog.Logger
}

// NewNotices returns Notices that do nothing before Run.
func NewNotices(o NoticesOptions) *Notices {
	n := &Notices{opts: o}
	for name, d := range o.Dialects {
		if d.TellsNothing() {
			n.silent = append(n.silent, name)
		}
	}
	slices.Sort(n.silent)
	return n
}

// Run works until the context is done.
func (n *Notices) Run(ctx context.Context) {
	log := n.opts.Logger
	if n.opts.Waker != nil {
		go every(ctx, noticeInterval, reporting(ctx, log, "mail about endpoints could not be set going; still trying", n.wake))
		go every(ctx, workingEvery, reporting(ctx, log, "endpoints that work again could not be noted; still trying", n.noteWorking))
	}
	every(ctx, forgetEvery, reporting(ctx, log, "notices could not be deleted; still trying", n.forget))
}

// wake wakes the workflows of endpoints of which something is to be told. Those that it does not reach are told in the next round.
func (n *Notices) wake(ctx context.Context) error {
	for ctx.Err() == nil {
		due, err := n.opts.Store.ClaimNotices(ctx, n.silent, noticeLease, noticePage)
		if err != nil {
			return err
		}
		var down outage
		var failed error
		var left []webhook.EndpointID
		for i, e := range due {
			start, cancel := context.WithTimeout(ctx, startTimeout)
			err := n.opts.Waker.WakeNotices(start, e.TenantID, e.ID)
			cancel()
			switch webhook.ErrorCode(err) {
			case "":
				continue
			case webhook.CodeUnavailable:
				left = append(left, e.ID)
			default: // it is tried again when the lease ends
				n.opts.Logger.Warn("the mail about an endpoint cannot be set going; trying again", "tenant", e.TenantID, "endpoint_id", e.ID, "error", err)
			}
			failed = err
			if down.ends(err) {
				for _, rest := range due[i+1:] {
					left = append(left, rest.ID)
				}
				break
			}
		}
		if len(left) > 0 {
			if err := n.opts.Store.ReleaseNotices(ctx, left); err != nil {
				return err
			}
		}
		if failed != nil || len(due) < noticePage {
			return failed
		}
	}
	return nil
}

func (n *Notices) noteWorking(ctx context.Context) error {
	return repeat(ctx, func() (int, error) { return n.opts.Store.NoteWorking(ctx, noticesToLook) })
}

func (n *Notices) forget(ctx context.Context) error {
	return repeat(ctx, func() (int, error) { return n.opts.Store.ForgetNotices(ctx, n.silent, noticeKept, noticesToLook) })
}

// repeat calls do until it finds less than a page.
func repeat(ctx context.Context, do func() (int, error)) error {
	for ctx.Err() == nil {
		if found, err := do(); err != nil || found < noticesToLook {
			return err
		}
	}
	return nil
}
