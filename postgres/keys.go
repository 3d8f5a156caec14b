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

const (
	insertKey = `
		INSERT INTO api_keys (id, tenant_id, name, scopes, hash, created_at, expires_at, created_by, allow_cidrs)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text[]::cidr[])`

	// lockKeys lets one caller at a time make keys of a tenant, or follow who made which, and none while the tenant is erased. It stops
	// nothing that only refers to the tenant.
	lockKeys = `SELECT id FROM tenants WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE`

	// countKeys counts the keys that are live at $2: those that were rotated, or those that were not.
	countKeys = `
		SELECT count(*) FROM api_keys
		WHERE tenant_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) AND (rotated_at IS NOT NULL) = $3`
)

// CreateAPIKey implements store.Keys.
func (s *Store) CreateAPIKey(ctx context.Context, k *webhook.APIKey, hash []byte, limit int, once *store.Once) error {
	return s.transactOnce(ctx, "create an API key", once, func(tx *sqlx.Tx) error {
		n, err := lockedKeys(ctx, tx, k, false)
		if err != nil {
			return err
		}
		if limit > 0 && n >= limit {
			return webhook.Errorf(webhook.CodeConflict,
				"the tenant has %d live API keys; %d is the limit: revoke one first; the administrator can raise the limit", n, limit)
		}
		if err := insertNewKey(ctx, tx, k, hash); err != nil {
			return err
		}
		return s.audited(ctx, tx, k.TenantID, "key.created", k.ID.String(), nil, keyFields(k).all())
	})
}

// lockedKeys locks the keys of a tenant against others who make one like k, so that what it counts holds until the end of the
// transaction.
func lockedKeys(ctx context.Context, tx *sqlx.Tx, k *webhook.APIKey, rotated bool) (n int, err error) {
	if err := lockKeysOf(ctx, tx, k.TenantID); err != nil {
		return 0, err
	}
	err = tx.GetContext(ctx, &n, countKeys, k.TenantID, k.CreatedAt, rotated)
	return n, err
}

func lockKeysOf(ctx context.Context, tx *sqlx.Tx, tenant string) error {
	var id string
	return orNotFound(tx.GetContext(ctx, &id, lockKeys, tenant), "tenant", tenant)
}

// insertNewKey is called after lockKeysOf.
func insertNewKey(ctx context.Context, tx *sqlx.Tx, k *webhook.APIKey, hash []byte) error {
	if err := checkMaker(ctx, tx, k); err != nil {
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
	if pq.As(err, pqerror.UniqueViolation) != nil {
		return webhook.Errorf(webhook.CodeConflict, "the API key exists already")
	}
	return err
}

// checkMaker holds a new key to the key that makes it, as that is now: the caller's view of it may be older.
func checkMaker(ctx context.Context, tx *sqlx.Tx, k *webhook.APIKey) error {
	var id webhook.KeyID
	if id.UnmarshalText([]byte(k.CreatedBy)) != nil {
		return nil // no key: an administrator
	}
	maker, err := lockMaker(ctx, tx, k.TenantID, id, k.CreatedAt)
	if err != nil {
		return err
	}
	return maker.CheckMakes(k)
}

// lockMaker returns the key that makes something at a moment, and keeps it from being revoked until that is there. CodeUnauthorized: it is
// revoked or has expired.
func lockMaker(ctx context.Context, tx *sqlx.Tx, tenant string, id webhook.KeyID, at time.Time) (*webhook.APIKey, error) {
	var row keyRow
	err := tx.GetContext(ctx, &row, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1 AND tenant_id = $2 FOR SHARE`, id, tenant)
	if missing(err) {
		return nil, webhook.UnknownKey()
	}
	if err != nil {
		return nil, err
	}
	maker, err := row.key()
	if err == nil && (maker.RevokedAt != nil || maker.ExpiredAt(at)) {
		return nil, webhook.UnknownKey()
	}
	return maker, err
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
