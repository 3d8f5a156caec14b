package postgres

import (
	"cmp"
	"context"
	"slices"

	"waybill/webhook"
)

// event_keys makes the ids that callers chose unique. Of two transactions that claim the same id, the second waits at its
// row for the first and then finds it taken.
const (
	claimEventIDs = `
		INSERT INTO event_keys (tenant_id, event_id, event_key, digest)
		SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bytea[])
		ON CONFLICT DO NOTHING RETURNING event_key`

	selectClaimedIDs = `
		SELECT k.tenant_id, k.event_id, k.event_key, k.digest
		FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, event_id)
		JOIN event_keys k ON k.tenant_id = asked.tenant_id AND k.event_id = asked.event_id`

	selectReceipts = `
		SELECT event_key, id, endpoint_id FROM unnest($1::uuid[]) AS asked (key) JOIN ` + storedEvents + ` ON stored.key = asked.key` +
		deliveriesOfStored + ` ORDER BY id`

	selectGenerated = `
		SELECT e.id, e.tenant_id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS asked (id, tenant_id, event_id)
		JOIN events e ON e.id = asked.id AND e.tenant_id || '' = asked.tenant_id AND e.event_id = asked.event_id`
)

// claimIDs claims ids and returns the indexes that got theirs. The others get the receipt of the event that has the id.
func (a *acceptance) claimIDs(ctx context.Context, indexes []int) ([]int, error) {
	var free, chosen []int
	for _, i := range indexes {
		if a.in[i].CallerID {
			chosen = append(chosen, i)
		} else {
			free = append(free, i)
		}
	}
	if len(chosen) == 0 {
		return free, nil
	}
	chosen, err := a.withoutGenerated(ctx, chosen)
	if err != nil || len(chosen) == 0 {
		return free, err
	}
	// Every transaction claims in the same order, so that no deadlock occurs.
	slices.SortFunc(chosen, func(x, y int) int {
		ex, ey := a.in[x].Event, a.in[y].Event
		return cmp.Or(cmp.Compare(ex.TenantID, ey.TenantID), cmp.Compare(ex.ID, ey.ID))
	})
	claimed, err := a.claim(ctx, chosen)
	if err != nil {
		return nil, err
	}
	var taken []int
	for _, i := range chosen {
		if claimed[a.in[i].Event.Key] {
			free = append(free, i)
		} else {
			taken = append(taken, i)
		}
	}
	slices.Sort(free)
	return free, a.repeat(ctx, taken)
}

func (a *acceptance) claim(ctx context.Context, indexes []int) (map[webhook.EventKey]bool, error) {
	tenants, ids, keys, digests := new(arrayBuilder), new(arrayBuilder), new(arrayBuilder), new(arrayBuilder)
	for _, i := range indexes {
		e := a.in[i].Event
		tenants.addText(e.TenantID)
		ids.addText(e.ID)
		keys.addID(e.Key)
		digests.addBytes(a.in[i].Digest[:])
	}
	var got []webhook.EventKey
	if err := a.tx.selectHot(ctx, &got, claimEventIDs, tenants, ids, keys, digests); err != nil {
		return nil, err
	}
	claimed := make(map[webhook.EventKey]bool, len(got))
	for _, key := range got {
		claimed[key] = true
	}
	return claimed, nil
}

// withoutGenerated refuses ids that Waybill itself generated for another event. Such an event has no row in event_keys, but
// a generated id says where its event would be stored.
func (a *acceptance) withoutGenerated(ctx context.Context, indexes []int) ([]int, error) {
	type generated struct {
		Key      webhook.EventKey `db:"id"`
		TenantID string           `db:"tenant_id"`
	}
	ids, tenants, texts := new(arrayBuilder), new(arrayBuilder), new(arrayBuilder)
	asked := map[generated]int{}
	for _, i := range indexes {
		e := a.in[i].Event
		if key, ok := generatedKey(e.ID); ok {
			ids.addID(key)
			tenants.addText(e.TenantID)
			texts.addText(e.ID)
			asked[generated{key, e.TenantID}] = i
		}
	}
	if len(asked) == 0 {
		return indexes, nil
	}
	var found []generated
	if err := a.tx.SelectContext(ctx, &found, selectGenerated, ids, tenants, texts); err != nil {
		return nil, err
	}
	for _, g := range found {
		i := asked[g]
		a.results[i].err = idConflict(a.in[i].Event.ID)
	}
	return slices.DeleteFunc(indexes, func(i int) bool { return a.results[i].err != nil }), nil
}

// generatedKey returns the key of the event that would have this generated id, which is a UUIDv7. Few of the ids derived
// from idempotency keys look like one.
func generatedKey(id string) (webhook.EventKey, bool) {
	var key webhook.EventKey
	if err := key.UnmarshalText([]byte(id)); err != nil || key.String() != id {
		return key, false
	}
	return key, key.UUID()[14] == '7'
}

func idConflict(id string) error {
	return webhook.Errorf(webhook.CodeEventIDConflict, "the event id %q was used for another event, or for one that was erased", id)
}

// repeat answers publications whose id is taken.
func (a *acceptance) repeat(ctx context.Context, indexes []int) error {
	if len(indexes) == 0 {
		return nil
	}
	tenants, ids := new(arrayBuilder), new(arrayBuilder)
	for _, i := range indexes {
		tenants.addText(a.in[i].Event.TenantID)
		ids.addText(a.in[i].Event.ID)
	}
	var rows []struct {
		TenantID string           `db:"tenant_id"`
		EventID  string           `db:"event_id"`
		Key      webhook.EventKey `db:"event_key"`
		Digest   []byte           `db:"digest"`
	}
	if err := a.tx.selectHot(ctx, &rows, selectClaimedIDs, tenants, ids); err != nil {
		return err
	}
	keys := make([]webhook.EventKey, len(rows))
	for i, row := range rows {
		keys[i] = row.Key
	}
	receipts, err := readReceipts(ctx, a.tx, keys)
	if err != nil {
		return err
	}
	if err := a.tx.execHot(ctx, confirmStored); err != nil {
		return err
	}
	for _, i := range indexes {
		// There is no row when retention removed it between the two statements. The id is then free again.
		a.results[i].again = true
		for _, row := range rows {
			if e := a.in[i].Event; row.TenantID == e.TenantID && row.EventID == e.ID {
				a.results[i] = repeated(a.in[i], row.Digest, receipts[row.Key])
			}
		}
	}
	return nil
}

func repeated(p *webhook.Publication, first []byte, deliveries []webhook.ReceiptDelivery) result[*webhook.Receipt] {
	if !p.Repeats(first) {
		return result[*webhook.Receipt]{err: idConflict(p.Event.ID)}
	}
	return result[*webhook.Receipt]{out: &webhook.Receipt{EventID: p.Event.ID, Deliveries: deliveries, Repeated: true}}
}

func readReceipts(ctx context.Context, tx hotTx, keys []webhook.EventKey) (map[webhook.EventKey][]webhook.ReceiptDelivery, error) {
	var rows []struct {
		Key        webhook.EventKey   `db:"event_key"`
		ID         webhook.DeliveryID `db:"id"`
		EndpointID webhook.EndpointID `db:"endpoint_id"`
	}
	if err := tx.selectHot(ctx, &rows, selectReceipts, idsOf(keys)); err != nil {
		return nil, err
	}
	out := map[webhook.EventKey][]webhook.ReceiptDelivery{}
	for _, row := range rows {
		out[row.Key] = append(out[row.Key], webhook.ReceiptDelivery{ID: row.ID, EndpointID: row.EndpointID})
	}
	return out, nil
}
