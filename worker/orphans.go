package worker

import (
	"context"
	"errors"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// orphanLines is how many orphans one search writes into the log.
const orphanLines = 20

// orphanSearch is a search through all running workflows, which may take more than one round.
type orphanSearch struct {
	// before is the latest start of the workflows searched; zero: no search has begun.
	before time.Time
	// token is where the next page begins.
	token         []byte
	listed, found int
}

// findOrphans counts the running workflows whose event is not stored, and does not change them. It lists all running
// workflows, so it runs rarely. When its time is over, the next round continues the search.
func (r *Reconciler) findOrphans(ctx context.Context) error {
	now := time.Now()
	if r.orphans.before.IsZero() {
		if now.Before(r.nextOrphans) {
			return nil
		}
		r.orphans.before = now.Add(-r.opts.After)
	}
	s := &r.orphans
	for {
		err := r.findOrphansOnPage(ctx, s)
		switch {
		case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
			r.opts.Logger.Info("the search for orphan workflows goes on in the next round", "listed", s.listed, "found", s.found)
			return nil
		case webhook.ErrorCode(err) == webhook.CodeInvalid:
			*s = orphanSearch{} // the next search starts from the beginning
			return err
		case err != nil:
			return err
		case s.token == nil:
			r.metrics.orphans.Set(float64(s.found))
			r.nextOrphans, *s = now.Add(2*r.opts.After), orphanSearch{}
			return nil
		}
	}
}

// findOrphansOnPage checks the next page and moves on. It skips a page that the database cannot look up.
func (r *Reconciler) findOrphansOnPage(ctx context.Context, s *orphanSearch) error {
	events, next, err := r.opts.Restarter.RunningEvents(ctx, s.before, s.token)
	if err != nil {
		return err
	}
	var unknown []store.EventRef
	if len(events) > 0 {
		if unknown, err = r.opts.Log.UnknownEvents(ctx, events); ctx.Err() != nil || webhook.ErrorCode(err) == webhook.CodeUnavailable {
			return err
		}
	}
	if err != nil {
		r.metrics.failed.Inc()
		r.opts.Logger.Warn("workflows could not be looked up in the database", "workflows", len(events), "error", err)
	}
	for _, e := range unknown {
		if s.found++; s.found <= orphanLines {
			r.opts.Logger.Warn("a workflow delivers an event that is not stored", "tenant", e.TenantID, "event_id", e.EventID)
		}
	}
	s.listed += len(events)
	s.token = next
	return nil
}
