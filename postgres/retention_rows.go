package postgres

import (
	"time"

	"waybill/store"
)

// expiration is what goes row by row, because it is in no partition of a month.
type expiration struct {
	// what names it to people.
	what string
	// table and key are where the rows are, and found selects the keys of those that are older than $1 ms.
	table, key, found string
	age               time.Duration
	// with is what goes with the rows gone, as further parts of the statement.
	with string
	// statement is there in place of the one that is made of the above.
	statement string
	// page is how many rows one statement deletes; 0: retainPage.
	page int
}

// delete is the statement that deletes $2 rows older than $1 ms, and counts them.
func (e *expiration) delete() string {
	if e.statement != "" {
		return e.statement
	}
	return `WITH gone AS (DELETE FROM ` + e.table + ` WHERE ` + e.key + ` = ANY (ARRAY(` + e.found + ` LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING *)` +
		e.with + ` SELECT count(*) FROM gone`
}

// sessionsKept is how long a session and a link stay after their end, so that clocks need not agree about it.
const sessionsKept = 24 * time.Hour

// withKeys deletes the keys of the events that go.
const withKeys = `, keys AS (
	DELETE FROM event_keys k USING gone g WHERE k.tenant_id = g.tenant_id AND k.event_id = g.event_id AND k.event_key = g.id)`

// The rows of the default partitions are those that no month covered, and those that were unsettled when their month went. They stay for
// as long as everything else from the moment when they were settled.
const (
	expiredDeliveries = `
		SELECT d.id FROM deliveries_default d
		WHERE d.id < uuid_floor(now() - $1::bigint * interval '1 millisecond') AND d.updated_at < now() - $1::bigint * interval '1 millisecond'
			AND NOT ` + unsettled + ` ORDER BY d.id`

	expiredAttempts = `
		SELECT a.id FROM attempts_default a
		WHERE a.id < uuid_floor(now() - $1::bigint * interval '1 millisecond') AND NOT EXISTS (SELECT FROM deliveries d WHERE d.id = a.delivery_id)
		ORDER BY a.id`

	expiredEvents = `
		SELECT e.id FROM events_default e
		WHERE e.id < uuid_floor(now() - $1::bigint * interval '1 millisecond') AND NOT EXISTS (SELECT FROM deliveries d WHERE d.event_key = e.id)
		ORDER BY e.id`

	expiredRecoveries = `
		SELECT id FROM recoveries WHERE id < uuid_floor(now() - $1::bigint * interval '1 millisecond') AND phase = 'ended' ORDER BY id`

	// expiredNotices are of endpoints that nobody is to be told of. The table has a row for each endpoint that was in trouble.
	expiredNotices = `
		SELECT endpoint_id FROM endpoint_notices WHERE NOT due AND NOT in_trouble AND wake_at < now() - $1::bigint * interval '1 millisecond'
		ORDER BY endpoint_id`

	// expiredEndpoints were deleted, and no delivery names them any more.
	expiredEndpoints = `
		SELECT e.id FROM endpoints e
		WHERE e.deleted_at < now() - $1::bigint * interval '1 millisecond' AND NOT e.wake_due
			AND NOT EXISTS (SELECT FROM deliveries d WHERE d.endpoint_id = e.id) ORDER BY e.id`

	expiredSessions = `SELECT id FROM sessions WHERE expires_at < now() - $1::bigint * interval '1 millisecond' ORDER BY expires_at`

	expiredLinks = `SELECT id FROM portal_links WHERE expires_at < now() - $1::bigint * interval '1 millisecond' ORDER BY expires_at`

	expiredAudit = `SELECT id FROM audit WHERE id < uuid_floor(now() - $1::bigint * interval '1 millisecond') ORDER BY id`
)

// expirations lists what goes row by row, in this order: events after their deliveries.
func expirations(rule store.RetentionRule) []expiration {
	return []expiration{
		{what: "deliveries that were unsettled when their month went", table: "deliveries_default", key: "id", found: expiredDeliveries, age: rule.Keep},
		{what: "attempts of deliveries that are gone", table: "attempts_default", key: "id", found: expiredAttempts, age: rule.Keep},
		{what: "events of deliveries that are gone", table: "events_default", key: "id", found: expiredEvents, age: rule.Keep, with: withKeys},
		{what: "recoveries that ended", table: "recoveries", key: "id", found: expiredRecoveries, age: rule.Keep},
		{what: "notices", table: "endpoint_notices", key: "endpoint_id", found: expiredNotices, age: rule.Keep},
		{what: "deleted endpoints", table: "endpoints", key: "id", found: expiredEndpoints, age: rule.Keep},
		{what: "API keys that were revoked or expired", found: expiredAPIKeys, age: rule.Keep, statement: deleteAPIKeys, page: keyPage},
		{what: "sessions that ended", table: "sessions", key: "id", found: expiredSessions, age: sessionsKept},
		{what: "portal links that ended", table: "portal_links", key: "id", found: expiredLinks, age: sessionsKept},
		{what: "audit entries", table: "audit", key: "id", found: expiredAudit, age: rule.Audit},
	}
}
