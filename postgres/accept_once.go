package postgres

import (
	"context"
	"slices"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"waybill/webhook"
)

// mostAtOnce is how many publications are stored at once. More of them share the round trips of a transaction, so that these cost little; and
// while many publish without a pause, shorter transactions would accept more than the rest of the process can deliver.
const mostAtOnce = 3

// acceptAtOnce stores a few publications with a single statement, which is its own transaction: one round trip in place of four. That is
// possible where all tenants are cached and no publication needs a read of its own. It returns nil where it is not, or where a tenant has
// changed since it was read, and then it has stored nothing.
func (s *Store) acceptAtOnce(ctx context.Context, in []*webhook.Publication) (*acceptance, error) {
	if len(in) > mostAtOnce {
		return nil, nil
	}
	a := s.knownAcceptance(in)
	if a == nil {
		return nil, nil
	}
	a.stored = a.withinTransaction(a.distinct())
	var tenants, versions arrayBuilder
	for id, t := range a.tenants {
		tenants.addText(id)
		versions.addInt(t.tenant.Version)
	}
	s.opts.Failpoint("before-commit")
	current, err := hotRows[bool](ctx, s, insertEventsAtOnce, append(a.rows(), &tenants, &versions)...)
	if err != nil {
		return nil, failed("accept events", storedBefore(err))
	}
	if !slices.Equal(current, []bool{true}) {
		return nil, nil
	}
	return a, nil
}

// knownAcceptance returns an acceptance with the cached tenants, or nil if a statement is needed to answer one of the publications.
func (s *Store) knownAcceptance(in []*webhook.Publication) *acceptance {
	a := &acceptance{store: s, in: in, results: make([]result[*webhook.Receipt], len(in)), tenants: make(map[string]*subscribers, 1)}
	for _, p := range in {
		known, ok := s.caches.subscribers.GetIfPresent(p.Event.TenantID)
		if !ok || known.err != nil || p.CallerID || p.TestSecret != "" || p.Audit != nil {
			return nil
		}
		a.tenants[p.Event.TenantID] = known
		if a.recipientLimit(p) != nil {
			return nil
		}
	}
	return a
}

// storedBefore tells a caller that an event may be stored, where its own id is taken. Ids are new for each publication, so it was stored by a
// first run of the statement, whose connection broke before the answer came: hotRows, or database/sql, then runs it again.
func storedBefore(err error) error {
	if pq.As(err, pqerror.UniqueViolation) != nil {
		return webhook.Errorf(webhook.CodeUnavailable, "the connection to the database broke; the event may be stored").WithCause(err)
	}
	return err
}
