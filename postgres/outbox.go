package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

const (
	deleteOutbox = `DELETE FROM outbox WHERE position = ANY ($1::bigint[])`

	// quarantineOutbox deletes what came for a tenant that was erased, instead of keeping it for people.
	quarantineOutbox = `
		WITH moved AS (DELETE FROM outbox WHERE position = ANY ($1::bigint[]) RETURNING *)
		INSERT INTO outbox_quarantine (position, event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at,
			note, traceparent, code, reason, errors, cut, quarantined_at)
		SELECT m.position, m.event_key, CASE WHEN w.cut THEN left(m.tenant_id, 1000) ELSE m.tenant_id END,
			CASE WHEN w.cut THEN left(m.event_id, 1000) ELSE m.event_id END, CASE WHEN w.cut THEN left(m.event_type, 1000) ELSE m.event_type END,
			CASE WHEN NOT w.cut THEN m.data END, m.occurred_at, CASE WHEN NOT w.cut THEN m.attributes END, m.bytes, m.created_at,
			m.note, m.traceparent, w.code, w.reason, w.errors::json, w.cut, clock_timestamp()
		FROM moved m JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::boolean[]) AS w (position, code, reason, errors, cut)
			ON w.position = m.position
		WHERE NOT EXISTS (SELECT FROM erasures e WHERE e.tenant_id = m.tenant_id)
			OR EXISTS (SELECT FROM tenants t WHERE t.id = m.tenant_id AND t.erased_at IS NULL)`
)

var ingestQueries = append([]string{selectOutboxTenants, claimOutbox, claimOutboxRow, deleteOutbox, quarantineOutbox, trimQuarantine}, acceptQueries...)

// IngestOutbox implements store.Outbox. The rows are deleted in the transaction that stores their events, so that a row
// becomes an event exactly once whatever happens. Rows of a tenant that cannot be read stay where they are, and keep no other
// waiting: the error comes once nothing else is left of the step.
func (s *Store) IngestOutbox(ctx context.Context, in store.Ingestion) (store.Ingested, error) {
	var without damagedTenants
	step, err := s.ingest(ctx, in, &without)
	if !blamesRow(err) || len(step.rows) == 0 {
		return step.out, err
	}
	out := store.Ingested{Next: step.out.Next}
	for i := range step.rows { // one of them is to blame, so each goes alone
		one, err := s.ingestRow(ctx, in, step.rows[i].Position)
		if err != nil {
			return out, err
		}
		out.Published += one.Published
		out.Repeated += one.Repeated
		out.Quarantined += one.Quarantined
		out.Trimmed += one.Trimmed
	}
	return out, nil
}

// damagedTenants are those that cannot be read, and why the first of them cannot.
type damagedTenants struct {
	ids   []string
	cause error
}

// Error names the first.
func (d *damagedTenants) Error() string {
	return fmt.Sprintf("the rows of %d tenants stay in the outbox: %v", len(d.ids), d.cause)
}

// ingest makes one step, without the tenants that cannot be read. It adds those that it finds.
func (s *Store) ingest(ctx context.Context, in store.Ingestion, without *damagedTenants) (*ingestion, error) {
	for {
		step := &ingestion{store: s, Ingestion: in, without: without.ids}
		err := step.run(ctx)
		var found *damagedTenants
		switch {
		case errors.As(err, &found):
			without.ids, without.cause = append(without.ids, found.ids...), cmp.Or(without.cause, found.cause)
		case err == nil && len(step.rows) == 0 && len(without.ids) > 0:
			return step, without
		default:
			return step, err
		}
	}
}

// ingestRow makes a step of one row. One that is to blame goes into quarantine, and one of a tenant that cannot be read stays.
func (s *Store) ingestRow(ctx context.Context, in store.Ingestion, position int64) (store.Ingested, error) {
	step := &ingestion{store: s, Ingestion: in, only: position}
	err := step.run(ctx)
	if damaged := (*damagedTenants)(nil); errors.As(err, &damaged) {
		return store.Ingested{}, nil // the next step names it
	}
	if !blamesRow(err) || len(step.rows) == 0 {
		return step.out, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	reject := &ingestion{store: s, Ingestion: in}
	reject.reject(&step.rows[0], err)
	reject.left(&step.rows[0], err)
	return reject.out, s.transactHot(ctx, "quarantine a row", ingestQueries, func(tx hotTx) error { return reject.settle(ctx, tx) })
}

// blamesRow tells an error that a row caused from one that would affect any row. After the latter all rows stay in the
// outbox instead of going into quarantine.
func blamesRow(err error) bool {
	var known *webhook.Error
	if errors.As(err, &known) {
		return known.Code != webhook.CodeUnavailable
	}
	if e := pq.As(err); e != nil {
		class := e.Code.Class()
		return class == "22" || class == "23" || class == "54" // data exception, integrity, limit exceeded
	}
	return false
}

// ingestion is one transaction of IngestOutbox.
type ingestion struct {
	store.Ingestion
	store *Store
	rows  []outboxRow
	// without are tenants whose rows are left alone. only is the position of the row to take; 0: those whose turn it is.
	without []string
	only    int64
	// prepared are the rows of the publications of the acceptance, in its order, as indexes of rows.
	prepared []int

	done     arrayBuilder // positions of the rows that are events now
	rejected rejections
	out      store.Ingested
}

type outboxRow struct {
	webhook.OutboxRow
	Position int64 `db:"position"`
	TooLarge bool  `db:"too_large"`
	// Note says why the row cannot become an event, where the producer's side knows it.
	Note           *string `db:"note"`
	DataText       []byte  `db:"data"`
	AttributesText []byte  `db:"attributes"`

	// Tenant is whose turn the row belongs to, and Turn its number among the rows of that tenant in the step, from 1. Where all after it had
	// no room, FirstFollows says that the next is a tenant's first.
	Tenant       string `db:"tenant"`
	Turn         int    `db:"turn"`
	FirstFollows bool   `db:"first_follows"`
}

// maxOutboxBytes is what publish() stores of a row at most.
const maxOutboxBytes = 8 << 20

func (g *ingestion) rowBytes() int64 { return min(g.RowBytes, maxOutboxBytes) }

func (g *ingestion) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, g.store.opts.Timeout)
	defer cancel()
	a := new(acceptance)
	err := g.store.transactHot(ctx, "ingest the outbox", ingestQueries, func(tx hotTx) error {
		// It may run twice, when the first connection breaks.
		*g = ingestion{Ingestion: g.Ingestion, store: g.store, without: g.without, only: g.only}
		*a = acceptance{store: g.store, tx: tx}
		if err := g.claim(ctx, tx); err != nil || len(g.rows) == 0 {
			return err
		}
		if err := safely(func() error { return g.accept(ctx, a) }); err != nil {
			return err
		}
		if err := g.settle(ctx, tx); err != nil {
			return err
		}
		if g.out.Published > 0 {
			g.store.opts.Failpoint("before-commit")
		}
		return nil
	})
	if err != nil {
		g.out = store.Ingested{Next: g.out.Next}
		return err
	}
	if g.out.Published > 0 {
		g.store.opts.Failpoint("after-commit")
	}
	g.store.reportTrimmed(g.out.Trimmed)
	a.committed()
	return nil
}

// accept stores the events of the valid rows, as Accept does, and sorts the rows by their result.
func (g *ingestion) accept(ctx context.Context, a *acceptance) error {
	var err error
	if a.tenants, err = g.store.readSubscribers(ctx, a.tx, g.tenants()); err != nil {
		return err
	}
	if damaged := damagedOf(a.tenants); damaged != nil {
		return damaged
	}
	own, err := g.typesOf(ctx, a)
	if err != nil {
		return err
	}
	// A check against a tenant's own schema may take half a second. The rows for which there is no time are left to the next step, so
	// that no tenant's rows make every step run out of its time.
	end := time.Now().Add(g.store.opts.Timeout / 4)
	for i := range g.rows {
		if i > 0 && time.Now().After(end) {
			g.leaveFrom(i)
			break
		}
		g.prepare(a, i, own[g.rows[i].Position])
	}
	a.results = make([]result[*webhook.Receipt], len(a.in))
	if err := a.accept(ctx); err != nil {
		return err
	}
	for i, at := range slices.Backward(g.prepared) { // of those without room the first is the last to say where the next step begins
		row := &g.rows[at]
		switch r := a.results[i]; {
		case r.again: // there is no room, or it must follow another row with the same id: a later step takes it
			g.leaveFrom(at)
			g.left(row, nil)
		case r.err != nil:
			g.reject(row, r.err)
			g.left(row, r.err)
		default:
			g.done.addInt(row.Position)
			if r.out.Repeated {
				g.out.Repeated++
			} else {
				g.out.Published++
			}
		}
	}
	return nil
}

func damagedOf(tenants map[string]*subscribers) *damagedTenants {
	var found *damagedTenants
	for id, t := range tenants {
		if t.err == nil {
			continue
		}
		if found == nil {
			found = &damagedTenants{cause: t.err}
		}
		found.ids = append(found.ids, id)
	}
	return found
}

func (g *ingestion) tenants() []string {
	seen := map[string]bool{}
	var out []string
	for i := range g.rows {
		if id := g.rows[i].TenantID; g.rows[i].Note == nil && !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

func (g *ingestion) prepare(a *acceptance, at int, own *webhook.OwnType) {
	var p *webhook.Publication
	row := &g.rows[at]
	err := safely(func() (err error) {
		p, err = g.publication(a, row, own)
		return err
	})
	switch {
	case err == nil:
		a.in, g.prepared = append(a.in, p), append(g.prepared, at)
	case webhook.ErrorCode(err) != webhook.CodeUnavailable:
		g.reject(row, err)
	}
}

func (g *ingestion) publication(a *acceptance, row *outboxRow, own *webhook.OwnType) (*webhook.Publication, error) {
	if row.TooLarge {
		return nil, webhook.Errorf(webhook.CodeTooLarge, "the event exceeds %d bytes", g.rowBytes())
	}
	if row.Note != nil {
		return nil, webhook.Errorf(webhook.CodeInvalid, "%s", *row.Note)
	}
	tenant := a.tenants[row.TenantID]
	if tenant == nil {
		return nil, notFound("tenant", row.TenantID)
	}
	row.Data, row.Attributes = row.DataText, row.AttributesText
	return g.Prepare(&row.OutboxRow, tenant.tenant, own)
}

func (g *ingestion) reject(row *outboxRow, err error) {
	if webhook.ErrorCode(err) == webhook.CodeInternal {
		g.store.log.Error("a row of the outbox cannot be ingested", slog.Int64("position", row.Position), slog.Any("error", err))
	}
	g.rejected.add(row.Position, err, row.TooLarge || row.Note != nil)
	g.out.Quarantined++
}

func (g *ingestion) left(row *outboxRow, err error) {
	if g.Left != nil {
		g.Left(row.Key, err)
	}
}

func (g *ingestion) settle(ctx context.Context, tx hotTx) error {
	if g.out.Published+g.out.Repeated > 0 {
		if err := tx.execHot(ctx, deleteOutbox, &g.done); err != nil {
			return err
		}
	}
	if g.out.Quarantined == 0 {
		return nil
	}
	if err := tx.execHot(ctx, quarantineOutbox, g.rejected.args()...); err != nil {
		return err
	}
	var trimmed []int
	if err := tx.selectHot(ctx, &trimmed, trimQuarantine, g.store.trimArgs()...); err != nil {
		return err
	}
	g.out.Trimmed = trimmed[0]
	return nil
}
