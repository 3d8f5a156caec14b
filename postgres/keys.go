package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"waybill/store"
	"waybill/webhook"
)

const keyColumns = `id, tenant_id, name, scopes, created_at, revoked_at`

type keyRow struct {
	webhook.APIKey
	ScopeNames pq.StringArray `db:"scopes"`
}

func (r *keyRow) key() (*webhook.APIKey, error) {
	k := r.APIKey
	for _, name := range r.ScopeNames {
		k.Scopes = append(k.Scopes, webhook.Scope(name))
	}
	return &k, nil
}

// CreateAPIKey implements store.Keys.
func (s *Store) CreateAPIKey(ctx context.Context, k *webhook.APIKey, hash []byte, once *store.Once) error {
	scopes := make(pq.StringArray, len(k.Scopes))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	return s.transactOnce(ctx, "create an API key", once, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO api_keys (id, tenant_id, name, scopes, hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			k.ID, k.TenantID, k.Name, scopes, hash, k.CreatedAt)
		switch {
		case pq.As(err, pqerror.ForeignKeyViolation) != nil:
			return notFound("tenant", k.TenantID)
		case pq.As(err, pqerror.UniqueViolation) != nil:
			return webhook.Errorf(webhook.CodeConflict, "the API key exists already")
		case err != nil:
			return err
		}
		return s.audited(ctx, tx, k.TenantID, "key.created", k.ID.String(), nil, keyFields(k).all())
	})
}

// APIKeys implements store.Keys.
func (s *Store) APIKeys(ctx context.Context, tenant string, page store.Page) ([]webhook.APIKey, error) {
	after, err := pageAfter[webhook.KeyID](page)
	if err != nil {
		return nil, err
	}
	var rows []keyRow
	err = s.list(ctx, &rows,
		`SELECT `+keyColumns+` FROM api_keys WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3`, tenant, after, page.Limit)
	if err != nil {
		return nil, failed("list API keys", err)
	}
	return readAll(rows, (*keyRow).key)
}

// RevokeAPIKey implements store.Keys.
func (s *Store) RevokeAPIKey(ctx context.Context, tenant string, id webhook.KeyID, at time.Time) error {
	return s.transact(ctx, "revoke an API key", func(tx *sqlx.Tx) error {
		var row keyRow
		err := tx.GetContext(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1 AND tenant_id = $2 FOR UPDATE`, id, tenant)
		if err != nil {
			return orNotFound(err, "key", id.String())
		}
		k, err := row.key()
		if err != nil || k.RevokedAt != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE api_keys SET revoked_at = $2 WHERE id = $1`, id, at); err != nil {
			return err
		}
		return s.audited(ctx, tx, tenant, "key.revoked", id.String(), keyFields(k).all(), nil)
	})
}

// APIKeyByHash implements store.Keys.
func (s *Store) APIKeyByHash(ctx context.Context, hash []byte) (*webhook.APIKey, error) {
	var row keyRow
	err := s.get(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE hash = $1 AND revoked_at IS NULL`, hash)
	if missing(err) {
		return nil, webhook.Errorf(webhook.CodeUnauthorized, "the API key is unknown or revoked")
	}
	if err != nil {
		return nil, failed("find an API key", err)
	}
	return row.key()
}
