package postgres

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"waybill/store"
	"waybill/webhook"
)

const keyColumns = `id, tenant_id, name, scopes, created_at, revoked_at, expires_at, last_used_at, created_by, allow_cidrs`

type keyRow struct {
	webhook.APIKey
	ScopeNames pq.StringArray `db:"scopes"`
	CIDRs      pq.StringArray `db:"allow_cidrs"`
}

func (r *keyRow) key() (*webhook.APIKey, error) {
	k := r.APIKey
	for _, name := range r.ScopeNames {
		k.Scopes = append(k.Scopes, webhook.Scope(name))
	}
	for _, text := range r.CIDRs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("read the networks of the API key %s: %w", k.ID, err)
		}
		k.AllowCIDRs = append(k.AllowCIDRs, p)
	}
	return &k, nil
}

const insertKey = `
	INSERT INTO api_keys (id, tenant_id, name, scopes, hash, created_at, expires_at, created_by, allow_cidrs)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text[]::cidr[])`

// CreateAPIKey implements store.Keys.
func (s *Store) CreateAPIKey(ctx context.Context, k *webhook.APIKey, hash []byte, once *store.Once) error {
	return s.transactOnce(ctx, "create an API key", once, func(tx *sqlx.Tx) error {
		if err := s.insertKey(ctx, tx, k, hash, lockMaker); err != nil {
			return err
		}
		return s.audited(ctx, tx, k.TenantID, "key.created", k.ID.String(), nil, keyFields(k).all())
	})
}

func (s *Store) insertKey(ctx context.Context, tx *sqlx.Tx, k *webhook.APIKey, hash []byte, lock string) error {
	if err := checkMaker(ctx, tx, k, lock); err != nil {
		return err
	}
	scopes, cidrs := make(pq.StringArray, len(k.Scopes)), make(pq.StringArray, len(k.AllowCIDRs))
	for i, scope := range k.Scopes {
		scopes[i] = string(scope)
	}
	for i, p := range k.AllowCIDRs {
		cidrs[i] = p.String()
	}
	_, err := tx.ExecContext(ctx, insertKey, k.ID, k.TenantID, k.Name, scopes, hash, k.CreatedAt, k.ExpiresAt, k.CreatedBy, cidrs)
	switch {
	case pq.As(err, pqerror.ForeignKeyViolation) != nil:
		return notFound("tenant", k.TenantID)
	case pq.As(err, pqerror.UniqueViolation) != nil:
		return webhook.Errorf(webhook.CodeConflict, "the API key exists already")
	}
	return err
}

// Locks of the key that makes another one. One that puts another in its own place is changed too: two that both shared it first would
// wait for each other.
const (
	lockMaker   = ` FOR SHARE`
	lockRotated = ` FOR NO KEY UPDATE`
)

// checkMaker locks the key that makes another one, so that RevokeMadeKeys either sees what it makes or stops it.
func checkMaker(ctx context.Context, tx *sqlx.Tx, k *webhook.APIKey, lock string) error {
	var maker webhook.KeyID
	if maker.UnmarshalText([]byte(k.CreatedBy)) != nil {
		return nil // no key: an administrator
	}
	var valid bool
	err := tx.GetContext(ctx, &valid, `SELECT revoked_at IS NULL FROM api_keys WHERE id = $1 AND tenant_id = $2`+lock, maker, k.TenantID)
	if err == nil && !valid || missing(err) {
		return webhook.UnknownKey()
	}
	return err
}

// APIKey implements store.Keys.
func (s *Store) APIKey(ctx context.Context, tenant string, id webhook.KeyID) (*webhook.APIKey, error) {
	var row keyRow
	err := s.get(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1 AND tenant_id = $2`, id, tenant)
	if err != nil {
		return nil, failed("find an API key", orNotFound(err, "key", id.String()))
	}
	return row.key()
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
		ids, err := s.revokeKeys(ctx, tx, tenant, at, `id = $2`, id)
		if err == nil && len(ids) == 0 {
			return notFound("key", id.String())
		}
		return err
	})
}

// APIKeyByHash implements store.Keys.
func (s *Store) APIKeyByHash(ctx context.Context, hash []byte) (*webhook.APIKey, error) {
	var row keyRow
	err := s.get(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE hash = $1 AND revoked_at IS NULL`, hash)
	if missing(err) {
		return nil, webhook.UnknownKey()
	}
	if err != nil {
		return nil, failed("find an API key", err)
	}
	return row.key()
}
