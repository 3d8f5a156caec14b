package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	selectTenantSecrets   = `SELECT ` + secretColumns + ` FROM tenants WHERE id = $1 AND secret_sealed IS NOT NULL`
	selectEndpointSecrets = `
		SELECT ` + secretColumns + ` FROM endpoints WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL AND secret_sealed IS NOT NULL`

	selectSecondDialects = `
		SELECT DISTINCT also_sign_as ->> 'dialect' FROM endpoints
		WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2) AND deleted_at IS NULL AND (also_sign_as ->> 'until')::timestamptz > $3
		ORDER BY 1`

	// The new version makes every process read the secrets again before its next attempt.
	setSecrets            = ` SET secret_sealed = $2, previous_secret_sealed = $3, previous_until = $4, secret_switch_at = $5, version = version + ` + versionStep + ` WHERE id = $1`
	updateTenantSecrets   = `UPDATE tenants` + setSecrets
	updateEndpointSecrets = `UPDATE endpoints` + setSecrets

	setAlgorithm = `UPDATE endpoints SET signing = coalesce(signing::jsonb, '{}') || jsonb_build_object('algorithm', $2::text) WHERE id = $1`

	forgetSecrets = ` SET previous_secret_sealed = NULL, previous_until = NULL, secret_switch_at = NULL WHERE id = ANY (ARRAY(
		SELECT id FROM `
	endedSecrets = ` WHERE previous_until < now() - $1::bigint * interval '1 millisecond' ORDER BY previous_until LIMIT $2 FOR UPDATE SKIP LOCKED))`

	forgetTenantSecrets   = `UPDATE tenants` + forgetSecrets + `tenants` + endedSecrets
	forgetEndpointSecrets = `UPDATE endpoints` + forgetSecrets + `endpoints` + endedSecrets
)

// secretsOwner finds an owner's secrets.
func secretsOwner(of store.SecretOwner) secretsOf {
	if of.Endpoint.IsZero() {
		return tenantSecrets(of.Tenant)
	}
	return endpointSecrets(of.Endpoint)
}

// readSecrets reads the owner's secrets; locking is "" or a locking clause.
func (s *Store) readSecrets(ctx context.Context, q sqlx.QueryerContext, of store.SecretOwner, locking string) (*webhook.SigningKeys, error) {
	var row secretsRow
	var err error
	if of.Endpoint.IsZero() {
		err = orNotFound(sqlx.GetContext(ctx, q, &row, selectTenantSecrets+locking, of.Tenant), "secret of the tenant", of.Tenant)
	} else {
		err = orNotFound(sqlx.GetContext(ctx, q, &row, selectEndpointSecrets+locking, of.Endpoint, of.Tenant), "endpoint", of.Endpoint.String())
	}
	if err != nil {
		return nil, err
	}
	keys, err := s.openKeys(&row, secretsOwner(of))
	return &keys, err
}

func (s *Store) writeSecrets(ctx context.Context, tx *sqlx.Tx, of store.SecretOwner, k *webhook.SigningKeys) error {
	at := secretsOwner(of)
	var id any = of.Tenant
	update := updateTenantSecrets
	if !of.Endpoint.IsZero() {
		id, update = of.Endpoint, updateEndpointSecrets
	}
	_, err := tx.ExecContext(ctx, update, id, s.keys.seal([]byte(k.Current.Reveal()), at.current()),
		s.keys.seal([]byte(k.Previous.Reveal()), at.previous()), k.PreviousUntil, k.SwitchAt)
	return err
}

// SigningKeys implements store.Secrets.
func (s *Store) SigningKeys(ctx context.Context, of store.SecretOwner) (*webhook.SigningKeys, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	keys, err := s.readSecrets(ctx, s.db, of, "")
	return keys, failed("read signing secrets", err)
}

// SecondDialects implements store.Secrets.
func (s *Store) SecondDialects(ctx context.Context, of store.SecretOwner, at time.Time) ([]string, error) {
	var names []string
	err := s.list(ctx, &names, selectSecondDialects, of.Tenant, orNullEndpoint(of.Endpoint), at)
	return names, failed("list second dialects", err)
}

// RotateSecret implements store.Secrets.
func (s *Store) RotateSecret(ctx context.Context, of store.SecretOwner, r *webhook.Rotation, keys *webhook.SigningKeys, once *store.Once) error {
	err := s.transactOnce(ctx, "rotate a secret", once, func(tx *sqlx.Tx) error {
		found, err := s.readSecrets(ctx, tx, of, " FOR UPDATE")
		if err != nil {
			return err
		}
		before := auditedSecrets(found)
		if err := found.Rotate(r); err != nil {
			return refusal{err}
		}
		if err := s.writeSecrets(ctx, tx, of, found); err != nil {
			return err
		}
		if r.Algorithm != "" {
			if _, err := tx.ExecContext(ctx, setAlgorithm, of.Endpoint, string(r.Algorithm)); err != nil {
				return err
			}
		}
		*keys = *found
		return s.audited(ctx, tx, of.Tenant, "secret.rotated", secretsOwner(of).row, before, auditedSecrets(found))
	})
	return unrefused(err)
}

// RetireSecret implements store.Secrets.
func (s *Store) RetireSecret(ctx context.Context, of store.SecretOwner) (*webhook.SigningKeys, error) {
	var keys *webhook.SigningKeys
	err := s.transact(ctx, "retire a secret", func(tx *sqlx.Tx) (err error) {
		if keys, err = s.readSecrets(ctx, tx, of, " FOR UPDATE"); err != nil || keys.Previous.IsZero() {
			return err
		}
		before := auditedSecrets(keys)
		*keys = keys.Only(webhook.CurrentSecret)
		if err := s.writeSecrets(ctx, tx, of, keys); err != nil {
			return err
		}
		return s.audited(ctx, tx, of.Tenant, "secret.retired", secretsOwner(of).row, before, auditedSecrets(keys))
	})
	return keys, err
}

// auditedSecrets is what an audit entry tells of secrets: their fingerprints and times.
func auditedSecrets(k *webhook.SigningKeys) json.RawMessage {
	return mustJSON(struct {
		Current  string     `json:"fingerprint"`
		Previous string     `json:"previous_fingerprint,omitempty"`
		Until    *time.Time `json:"previous_valid_until,omitempty"`
		SwitchAt *time.Time `json:"switch_at,omitempty"`
	}{k.Current.Fingerprint(), k.Previous.Fingerprint(), k.PreviousUntil, k.SwitchAt})
}

// ForgetEndedSecrets implements store.EndedSecrets. It makes no new version, because nothing is signed in another way.
func (s *Store) ForgetEndedSecrets(ctx context.Context, grace time.Duration, limit int) (bool, error) {
	more := false
	for _, statement := range []string{forgetTenantSecrets, forgetEndpointSecrets} {
		err := s.transact(ctx, "forget ended secrets", func(tx *sqlx.Tx) error {
			done, err := tx.ExecContext(ctx, statement, grace.Milliseconds(), limit)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			more = more || n == int64(limit)
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return more, nil
}
