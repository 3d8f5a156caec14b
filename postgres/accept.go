package postgres

import (
	"context"
	"log/slog"
	"slices"

	"waybill/store"
	"waybill/webhook"
)

// maxAcceptBytes bounds the bodies of one transaction; a larger body has a transaction alone.
const maxAcceptBytes = 4 << 20

// wideTenant is how many endpoints a tenant may have whose events share transactions with those of all others. A transaction that stores
// thousands of deliveries takes so long that others should not wait for it.
const wideTenant = 500

// Accept implements store.Events. Concurrent calls share a transaction: an acceptance, which reads the tenants and their
// endpoints (accept_subscribers.go), claims the ids (accept_ids.go) and writes (accept_write.go).
func (s *Store) Accept(ctx context.Context, p *webhook.Publication) (*webhook.Receipt, error) {
	if !p.Only.IsZero() {
		p.Audit = s.newAudit(ctx, p.Event.TenantID, "endpoint.tested", p.Only.String(), nil, map[string]string{"event_id": p.Event.ID, "event_type": p.Event.Type})
	}
	return s.acceptsOf(p).do(ctx, p)
}

func (s *Store) newAccepts(o Options) *group[*webhook.Publication, *webhook.Receipt] {
	g := newGroup(o, 2, s.acceptGroup)
	g.name = "accept transaction"
	g.weigh = func(p *webhook.Publication) int { return len(p.Body.Bytes) }
	g.maxWeight = maxAcceptBytes
	g.tenantOf = func(p *webhook.Publication) string { return p.Event.TenantID }
	return g
}

// acceptsOf returns the group whose transactions store the publication, by what is known of its tenant. Either is right.
func (s *Store) acceptsOf(p *webhook.Publication) *group[*webhook.Publication, *webhook.Receipt] {
	if known, ok := s.caches.subscribers.GetIfPresent(p.Event.TenantID); ok && len(known.endpoints) > wideTenant {
		return s.wideAccepts
	}
	return s.accepts
}

// acceptance is one transaction of Accept. A publication is identified by its index in the acceptance.
type acceptance struct {
	store   *Store
	tx      hotTx
	in      []*webhook.Publication
	results []result[*webhook.Receipt]

	tenants map[string]*subscribers
	// stored are the indexes of the publications that this transaction stores.
	stored     []int
	dispatches []store.Dispatch
}

func (s *Store) acceptGroup(ctx context.Context, in []*webhook.Publication) ([]result[*webhook.Receipt], error) {
	a, err := s.acceptAtOnce(ctx, in)
	if a == nil && err == nil {
		a, err = s.acceptInSteps(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	s.opts.Failpoint("after-commit")
	a.committed()
	return a.results, nil
}

// acceptInSteps reads the tenants before it writes.
func (s *Store) acceptInSteps(ctx context.Context, in []*webhook.Publication) (*acceptance, error) {
	a := new(acceptance)
	err := s.transactHot(ctx, "accept events", acceptQueries, func(tx hotTx) error {
		// It may run twice, when the first connection breaks.
		*a = acceptance{store: s, tx: tx, in: in, results: make([]result[*webhook.Receipt], len(in))}
		err := a.work(ctx)
		s.opts.Failpoint("before-commit")
		return storedBefore(err)
	})
	return a, err
}

var acceptQueries = []string{selectTenantVersions, claimEventIDs, selectClaimedIDs, selectReceipts, confirmStored, insertEvents}

func (a *acceptance) work(ctx context.Context) error {
	var err error
	if a.tenants, err = a.store.readSubscribers(ctx, a.tx, tenantsOf(a.in)); err != nil {
		return err
	}
	return a.accept(ctx)
}

// accept stores what can be stored, once the tenants are read.
func (a *acceptance) accept(ctx context.Context) error {
	open, err := a.withinRecipientLimit(ctx, a.ofKnownTenants(a.distinct()))
	if err != nil {
		return err
	}
	if a.stored, err = a.claimIDs(ctx, a.withinTransaction(open)); err != nil {
		return err
	}
	return a.write(ctx)
}

// distinct returns all indexes except those whose id occurs a second time. These wait for the next transaction, so that the
// result is the same as if the calls had come one after the other.
func (a *acceptance) distinct() []int {
	type name struct{ tenant, id string }
	seen := make(map[name]bool, len(a.in))
	var open []int
	for i, p := range a.in {
		n := name{p.Event.TenantID, p.Event.ID}
		if seen[n] {
			a.results[i].again = true
			continue
		}
		seen[n] = true
		open = append(open, i)
	}
	return open
}

func (a *acceptance) ofKnownTenants(indexes []int) []int {
	var open []int
	for _, i := range indexes {
		tenant := a.in[i].Event.TenantID
		switch known := a.tenants[tenant]; {
		case known == nil:
			a.results[i].err = notFound("tenant", tenant)
		case known.err != nil:
			a.results[i].err = failed("accept an event", known.err)
		default:
			open = append(open, i)
		}
	}
	return open
}

// withinRecipientLimit refuses publications that would go to too many endpoints. It still answers one that repeats an event
// stored when there were fewer endpoints.
func (a *acceptance) withinRecipientLimit(ctx context.Context, indexes []int) ([]int, error) {
	var chosen []int
	within := slices.DeleteFunc(indexes, func(i int) bool {
		a.results[i].err = a.recipientLimit(a.in[i])
		if a.results[i].err != nil && a.in[i].CallerID {
			chosen = append(chosen, i)
		}
		return a.results[i].err != nil
	})
	err := a.repeat(ctx, chosen)
	for _, i := range chosen {
		a.results[i].again = false // where nothing is stored under the id, the error is final
	}
	return within, err
}

// withinTransaction moves publications to the next transaction when this one would store more than Options.MaxDeliveries
// deliveries. A single event may have more.
func (a *acceptance) withinTransaction(indexes []int) []int {
	most := a.store.opts.MaxDeliveries
	possible := 0
	for _, i := range indexes {
		possible += len(a.tenants[a.in[i].Event.TenantID].endpoints)
	}
	if possible <= most {
		return indexes
	}
	deliveries := 0
	return slices.DeleteFunc(indexes, func(i int) bool {
		to, _ := a.in[i].Recipients(a.tenants[a.in[i].Event.TenantID].endpoints)
		if deliveries > 0 && deliveries+len(to) > most {
			a.results[i].again = true
			return true
		}
		deliveries += len(to)
		return false
	})
}

func (a *acceptance) recipientLimit(p *webhook.Publication) error {
	most, endpoints := a.store.opts.MaxRecipients, a.tenants[p.Event.TenantID].endpoints
	if len(endpoints) <= most {
		return nil
	}
	if to, _ := p.Recipients(endpoints); len(to) > most {
		return webhook.TooManyRecipients(len(to), most)
	}
	return nil
}

func tenantsOf(in []*webhook.Publication) []string {
	seen := map[string]bool{}
	var out []string
	for _, p := range in {
		if id := p.Event.TenantID; !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

// committed reports the stored events to OnAccepted, which must not happen before the commit.
func (a *acceptance) committed() {
	for _, i := range a.stored {
		a.store.caches.bodies.Set(a.in[i].Event.Key, sentEvent{a.in[i].Body, a.in[i].Traceparent})
	}
	if len(a.dispatches) == 0 {
		return
	}
	// The events are stored. Whatever OnAccepted does, the callers get their receipts and the relay finds the events.
	err := safely(func() error {
		a.store.opts.OnAccepted(a.dispatches)
		return nil
	})
	if err != nil {
		a.store.log.Error("OnAccepted panicked", slog.Any("error", err))
	}
}
