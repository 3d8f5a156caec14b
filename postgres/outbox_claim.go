package postgres

import "context"

const (
	// outboxTenant is by what outbox_by_tenant sorts: the tenant of a row, or what the producer gave in its place. Rows with a note, which
	// become no event and which a role may write under any tenant's name, have a turn of their own.
	outboxTenant = `(CASE WHEN note IS NULL THEN left(coalesce(nullif(tenant_id, ''), '?'), 100) ELSE '?' END)`

	// selectOutboxTenants goes from tenant to tenant in the index, whatever waits of each. It leaves out those whose dialect is not among $3,
	// which are left to other processes, and those of $4.
	selectOutboxTenants = `
		WITH RECURSIVE waiting AS (
			(SELECT ` + outboxTenant + ` AS tenant FROM outbox WHERE ` + outboxTenant + ` > $1 ORDER BY ` + outboxTenant + ` LIMIT 1)
			UNION ALL
			SELECT n.tenant FROM waiting w CROSS JOIN LATERAL (
				SELECT ` + outboxTenant + ` AS tenant FROM outbox WHERE ` + outboxTenant + ` > w.tenant ORDER BY ` + outboxTenant + ` LIMIT 1
			) AS n
		)
		SELECT tenant FROM waiting
		WHERE NOT EXISTS (SELECT FROM tenants t WHERE t.id = tenant AND t.dialect <> ALL ($3::text[])) AND tenant <> ALL ($4::text[]) LIMIT $2`

	// claimOutbox takes $3 rows of each tenant, in the order of publication, and skips those that another process is ingesting. It does not
	// read the texts of rows above $1 bytes, and reads about $4 bytes of the others: the first row of each tenant, then the second of each.
	// The last row tells whether those bytes left no room for the first row of another tenant.
	//
	// The range of one value leaves outbox_by_tenant as the only index in the wanted order. For an equal value the primary key would do as well,
	// and where the statistics know few tenants, the planner would read past all rows of these to find those of another.
	claimOutbox = `
		WITH waiting AS MATERIALIZED (
			SELECT t.tenant, t.place, r.position, r.bytes FROM unnest($2::text[]) WITH ORDINALITY AS t (tenant, place) CROSS JOIN LATERAL (
				SELECT position, CASE WHEN bytes > $1::bigint THEN 0 ELSE bytes END AS bytes FROM outbox
				WHERE ` + outboxTenant + ` BETWEEN t.tenant AND t.tenant ORDER BY ` + outboxTenant + `, position LIMIT $3 FOR UPDATE SKIP LOCKED
			) AS r
		), taking AS (
			SELECT *, row_number() OVER (PARTITION BY place ORDER BY position) AS turn FROM waiting
		), measured AS (
			SELECT *, sum(bytes) OVER turns - bytes AS before, coalesce(lead(turn) OVER turns = 1, false) AS first_follows
			FROM taking WINDOW turns AS (ORDER BY turn, place)
		)
		SELECT ` + outboxColumns + `, m.tenant, m.turn, m.first_follows
		FROM measured m JOIN outbox o ON o.position = m.position WHERE m.before < $4::bigint ORDER BY m.turn, m.place`

	// claimOutboxRow takes one row, unless another process is ingesting it or has.
	claimOutboxRow = `SELECT ` + outboxColumns + ` FROM outbox o WHERE o.position = $2 FOR UPDATE SKIP LOCKED`

	// outboxColumns leaves out the texts of rows above $1 bytes. A time that no event can have becomes one that is refused.
	outboxColumns = `o.position, o.event_key, o.created_at, o.bytes > $1::bigint AS too_large, o.note, o.traceparent,
			CASE WHEN o.bytes > $1::bigint THEN '' ELSE coalesce(o.tenant_id, '') END AS tenant_id,
			CASE WHEN o.bytes > $1::bigint THEN '' ELSE coalesce(o.event_type, '') END AS event_type,
			CASE WHEN o.bytes > $1::bigint THEN NULL ELSE o.event_id END AS event_id,
			CASE WHEN o.bytes > $1::bigint THEN NULL ELSE o.data END AS data,
			CASE WHEN o.bytes > $1::bigint THEN NULL ELSE o.attributes END AS attributes,
			CASE WHEN o.occurred_at < '1970-01-01Z' OR o.occurred_at >= '10000-01-01Z' THEN '0001-01-01Z' ELSE o.occurred_at END AS occurred_at`
)

// claim takes the rows of the step. Each of the tenants whose turn it is gets the same share of it.
func (g *ingestion) claim(ctx context.Context, tx hotTx) error {
	if g.only != 0 {
		return tx.selectHot(ctx, &g.rows, claimOutboxRow, g.rowBytes(), g.only)
	}
	tenants, most := []string(nil), min(g.Rows, claimedTenants)
	err := tx.selectHot(ctx, &tenants, selectOutboxTenants, g.After, most, textsOf(g.Dialects), textsOf(g.without))
	if err != nil || len(tenants) == 0 {
		return err
	}
	if len(tenants) == most {
		g.out.Next = tenants[most-1]
	}
	err = tx.selectHot(ctx, &g.rows, claimOutbox, g.rowBytes(), textsOf(tenants), g.Rows/len(tenants), maxAcceptBytes)
	if last := len(g.rows) - 1; err == nil && last >= 0 && g.rows[last].FirstFollows {
		g.out.Next = g.rows[last].Tenant
	}
	return err
}

// leaveFrom makes the next step begin with the tenant of a row for which this one has no room, where the step takes nothing of it. So none
// waits for the same others in each round. The first row always has room.
func (g *ingestion) leaveFrom(row int) {
	if row > 0 && g.rows[row].Turn == 1 {
		g.out.Next = g.rows[row-1].Tenant
	}
}
