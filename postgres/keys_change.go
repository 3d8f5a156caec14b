package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

const (
	// lockRotated finds a key that is still valid at $3, the time of the rotation, and that no other one has taken the place of: its end is
	// then no longer the one that it was made with, so that nobody could tell how long another successor is to live.
	lockRotated = `
		SELECT id FROM api_keys
		WHERE id = $1 AND tenant_id = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3) AND rotated_at IS NULL
		FOR NO KEY UPDATE`

	endKey = `UPDATE api_keys SET expires_at = least(expires_at, $2), rotated_at = $3 WHERE id = $1 RETURNING expires_at`
)

// RotateAPIKey implements store.Keys.
func (s *Store) RotateAPIKey(ctx context.Context, old webhook.KeyID, until time.Time, k *webhook.APIKey, hash []byte, limit int, once *store.Once) error {
	return s.transactOnce(ctx, "rotate an API key", once, func(tx *sqlx.Tx) error {
		n, err := lockedKeys(ctx, tx, k, true)
		if err != nil {
			return err
		}
		if limit > 0 && n >= limit {
			return webhook.Errorf(webhook.CodeConflict,
				"%d API keys of the tenant were rotated and are still valid; %d is the limit: revoke some of them, or wait for the end of their overlap", n, limit)
		}
		var id webhook.KeyID
		err = tx.GetContext(ctx, &id, lockRotated, old, k.TenantID, k.CreatedAt)
		if missing(err) {
			return webhook.Errorf(webhook.CodeConflict, "the key %s is revoked, has expired or was rotated before; create a new one", old)
		}
		if err != nil {
			return err
		}
		if err := insertNewKey(ctx, tx, k, hash); err != nil {
			return err
		}
		var ends time.Time
		if err := tx.GetContext(ctx, &ends, endKey, old, until, k.CreatedAt); err != nil {
			return err
		}
		return s.audited(ctx, tx, k.TenantID, "key.rotated", old.String(), nil,
			map[string]any{"new_key": k.ID, "previous_valid_until": ends.UTC(), "expires_at": k.ExpiresAt})
	})
}

// RevokeMadeKeys implements store.Keys. It goes down level by level. While it holds the lock nobody makes another key of the tenant, and
// none of them is removed.
func (s *Store) RevokeMadeKeys(ctx context.Context, tenant string, id webhook.KeyID, at time.Time) ([]webhook.KeyID, error) {
	var all []webhook.KeyID
	err := s.transact(ctx, "revoke an API key and those that it made", func(tx *sqlx.Tx) error {
		all = nil
		if err := lockKeysOf(ctx, tx, tenant); err != nil {
			return err
		}
		level, err := s.revokeKeys(ctx, tx, tenant, at, `id = $2`, id)
		if err == nil && len(level) == 0 {
			return notFound("key", id.String())
		}
		for err == nil && len(level) > 0 {
			all = append(all, level...)
			makers := make(pq.StringArray, len(level))
			for i, maker := range level {
				makers[i] = maker.String()
			}
			level, err = s.revokeKeys(ctx, tx, tenant, at, `created_by = ANY($2)`, makers)
		}
		return err
	})
	return all, err
}

// revokeKeys revokes the keys of a tenant that the condition with $2 selects, and returns them all, with those that were revoked
// before.
func (s *Store) revokeKeys(ctx context.Context, tx *sqlx.Tx, tenant string, at time.Time, condition string, arg any) ([]webhook.KeyID, error) {
	var rows []keyRow
	err := tx.SelectContext(ctx, &rows,
		`SELECT `+keyColumns+` FROM api_keys WHERE tenant_id = $1 AND `+condition+` ORDER BY id FOR UPDATE`, tenant, arg)
	if err != nil {
		return nil, err
	}
	ids := make([]webhook.KeyID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
		if rows[i].RevokedAt != nil {
			continue
		}
		k, err := rows[i].key()
		if err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE api_keys SET revoked_at = $2 WHERE id = $1`, k.ID, at); err != nil {
			return nil, err
		}
		if err := s.audited(ctx, tx, tenant, "key.revoked", k.ID.String(), keyFields(k).all(), nil); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// noteKeyUses leaves out keys that somebody else has locked, most likely another process that notes the same uses: two that locked the
// same keys in another order would wait for each other.
const noteKeyUses = `
	WITH used AS MATERIALIZED (
		SELECT id, max(at) AS at FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, at) GROUP BY id
	), free AS MATERIALIZED (
		SELECT k.id, u.at FROM used u JOIN api_keys k ON k.id = u.id
		WHERE k.last_used_at IS NULL OR k.last_used_at <= u.at - interval '1 minute' FOR NO KEY UPDATE OF k SKIP LOCKED
	)
	UPDATE api_keys k SET last_used_at = free.at FROM free WHERE k.id = free.id`

// NoteKeyUses implements store.Keys.
func (s *Store) NoteKeyUses(ctx context.Context, uses []store.KeyUse) error {
	var ids, times arrayBuilder
	for _, u := range uses {
		ids.addID(u.ID)
		times.addTime(u.At)
	}
	return failed("note the uses of API keys", s.execHot(ctx, noteKeyUses, &ids, &times))
}
