package postgres

// keyPage is how many API keys one statement deletes. The steps from a key to the one that takes its maker's place cost its cube.
const keyPage = 100

const (
	// endedKeys are the API keys that were revoked, or expired, more than $1 ms ago, whichever was first.
	endedKeys = `least(k.revoked_at, k.expires_at) < now() - $1::bigint * interval '1 millisecond'`

	expiredAPIKeys = `SELECT k.id FROM api_keys k WHERE ` + endedKeys + ` ORDER BY k.id`

	// deleteAPIKeys deletes API keys page by page. What a deleted key made is then made by who made that one, so that RevokeMadeKeys finds
	// it all the same. A tenant whose keys are being changed is left to the next call.
	deleteAPIKeys = `
		WITH RECURSIVE gone AS MATERIALIZED (
			SELECT k.id, 'key_' || replace(k.id::text, '-', '') AS name, k.tenant_id, k.created_by
			FROM api_keys k JOIN tenants t ON t.id = k.tenant_id WHERE ` + endedKeys + `
			ORDER BY least(k.revoked_at, k.expires_at) LIMIT $2 FOR UPDATE OF k SKIP LOCKED FOR NO KEY UPDATE OF t SKIP LOCKED
		), heirs (tenant_id, name, maker) AS (
			SELECT tenant_id, name, created_by FROM gone
			UNION ALL
			SELECT h.tenant_id, h.name, g.created_by FROM heirs h JOIN gone g ON g.name = h.maker AND g.tenant_id = h.tenant_id
		), lasting AS MATERIALIZED (
			SELECT * FROM heirs WHERE maker NOT IN (SELECT name FROM gone)
		), made AS (
			UPDATE api_keys k SET created_by = l.maker FROM lasting l
			WHERE k.tenant_id = l.tenant_id AND k.created_by = l.name AND k.id NOT IN (SELECT id FROM gone)
		), deleted AS (
			DELETE FROM api_keys k USING gone g WHERE k.id = g.id RETURNING 1
		)
		SELECT count(*) FROM deleted`
)
