package postgres

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	insertLink = `
		INSERT INTO portal_links (id, hash, tenant_id, key_id, maker_check, scopes, filter, created_at, expires_at)
		VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7, $8, $9)`

	// selectUnopened locks the link: whoever waits for another one that opens it finds it opened.
	selectUnopened = `
		SELECT id, coalesce(tenant_id, '') AS tenant_id, key_id, maker_check, scopes, filter, created_at, expires_at
		FROM portal_links WHERE hash = $1 AND opened_at IS NULL FOR UPDATE`

	// lockTenantOfLinks makes the count exact. It holds nobody up who reads the tenant.
	lockTenantOfLinks = `SELECT id FROM tenants WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE`

	countLinks = `SELECT count(*) FROM portal_links WHERE tenant_id = $1 AND expires_at > $2`
)

type linkRow struct {
	webhook.Link
	grantRow
}

func (r *linkRow) link() (*webhook.Link, error) {
	out := r.Link
	out.KeyID, out.Scopes = valueOf(r.Key), r.scopes()
	var err error
	if out.Confinement, err = r.confinement(); err != nil {
		return nil, fmt.Errorf("read the filter of the link %s: %w", out.ID, err)
	}
	return &out, nil
}

// CreateLink implements store.Sessions.
func (s *Store) CreateLink(ctx context.Context, l *webhook.Link, hash []byte, once *store.Once) error {
	return s.transactOnce(ctx, "create a link", once, func(tx *sqlx.Tx) error {
		action := "sign_in_link.created"
		if l.TenantID != "" {
			action = "portal_link.created"
			if err := checkLinks(ctx, tx, l); err != nil {
				return err
			}
		}
		if err := lockMakerOf(ctx, tx, l.TenantID, l.KeyID, l.CreatedAt); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, insertLink, l.ID, hash, l.TenantID, orNull(l.KeyID), l.MakerCheck, scopeNames(l.Scopes),
			optionalJSON(l.Confinement, l.Confinement != nil), l.CreatedAt, l.ExpiresAt)
		if err != nil {
			return err
		}
		return s.audited(ctx, tx, l.TenantID, action, l.ID.String(), nil, linkFields(l).all())
	})
}

// checkLinks keeps the number of a tenant's links within the limit.
func checkLinks(ctx context.Context, tx *sqlx.Tx, l *webhook.Link) error {
	var id string
	if err := tx.GetContext(ctx, &id, lockTenantOfLinks, l.TenantID); err != nil {
		return orNotFound(err, "tenant", l.TenantID)
	}
	var n int
	err := tx.GetContext(ctx, &n, countLinks, l.TenantID, l.CreatedAt)
	if err == nil && n >= webhook.MaxLinks {
		return webhook.Errorf(webhook.CodeConflict,
			"the tenant has %d portal links that have not ended, which is the limit; wait for some to end, and give new ones a shorter expires_in", n)
	}
	return err
}

// OpenLink implements store.Sessions.
func (s *Store) OpenLink(ctx context.Context, hash []byte, open func(*store.FoundLink) (*webhook.Session, []byte, error)) error {
	err := s.transact(ctx, "open a link", func(tx *sqlx.Tx) error {
		link, err := findUnopened(ctx, tx, hash)
		if err != nil {
			return err
		}
		session, token, err := open(link)
		if err != nil {
			return refusal{err}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE portal_links SET opened_at = $2 WHERE id = $1`, link.ID, session.CreatedAt); err != nil {
			return err
		}
		actor := store.ActorOf(ctx)
		actor.Name = link.ID.String()
		if err := s.insertSession(store.WithActor(ctx, actor), tx, session, token); err != nil {
			return err
		}
		return endOldestSessions(ctx, tx, session)
	})
	return unrefused(err)
}

func findUnopened(ctx context.Context, tx *sqlx.Tx, hash []byte) (*store.FoundLink, error) {
	var row linkRow
	err := tx.GetContext(ctx, &row, selectUnopened, hash)
	if missing(err) {
		return nil, webhook.UnknownLink()
	}
	if err != nil {
		return nil, err
	}
	link, err := row.link()
	if err != nil {
		return nil, err
	}
	key, err := findMaker(ctx, tx, link.KeyID)
	if missing(err) {
		return nil, webhook.UnknownLink()
	}
	return &store.FoundLink{Link: *link, Key: key}, err
}
