package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

const (
	insertSession = `
		INSERT INTO sessions (id, hash, tenant_id, key_id, maker_check, link_id, scopes, filter, created_at, expires_at)
		VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7, $8, $9, $10)`

	selectSession = `
		SELECT id, coalesce(tenant_id, '') AS tenant_id, key_id, maker_check, link_id, scopes, filter, created_at, expires_at
		FROM sessions WHERE hash = $1`

	// endOldest keeps the newest $2 sessions of the key $1, and where it is null those of administrators.
	endOldest = `
		DELETE FROM sessions WHERE id = ANY (ARRAY(
			SELECT id FROM sessions WHERE key_id = $1 AND link_id IS NULL ORDER BY id DESC OFFSET $2))`
	endOldestOfAdmins = `
		DELETE FROM sessions WHERE id = ANY (ARRAY(SELECT id FROM sessions WHERE tenant_id IS NULL ORDER BY id DESC OFFSET $1))`

	selectMaker = `SELECT ` + keyColumns + ` FROM api_keys WHERE id = $1 AND revoked_at IS NULL`
)

// grantRow is what rows of sessions and of links have in common.
type grantRow struct {
	Key        *webhook.KeyID `db:"key_id"`
	ScopeNames pq.StringArray `db:"scopes"`
	FilterJSON []byte         `db:"filter"`
}

func (r *grantRow) scopes() []webhook.Scope {
	var out []webhook.Scope
	for _, name := range r.ScopeNames {
		out = append(out, webhook.Scope(name))
	}
	return out
}

func (r *grantRow) confinement() (out webhook.Confinement, err error) {
	if r.FilterJSON != nil {
		err = json.Unmarshal(r.FilterJSON, &out)
	}
	return out, err
}

// scopeNames returns the value of a column of scopes.
func scopeNames(scopes []webhook.Scope) pq.StringArray {
	out := make(pq.StringArray, len(scopes))
	for i, s := range scopes {
		out[i] = string(s)
	}
	return out
}

// orNull returns the value of a column where the zero id is null.
func orNull[P interface{ IsZero() bool }](id P) any {
	if id.IsZero() {
		return nil
	}
	return id
}

type sessionRow struct {
	webhook.Session
	grantRow
	Link *webhook.LinkID `db:"link_id"`
}

func (r *sessionRow) session() (*webhook.Session, error) {
	out := r.Session
	out.KeyID, out.LinkID, out.Scopes = valueOf(r.Key), valueOf(r.Link), r.scopes()
	var err error
	if out.Confinement, err = r.confinement(); err != nil {
		return nil, fmt.Errorf("read the filter of the session %s: %w", out.ID, err)
	}
	return &out, nil
}

// CreateSession implements store.Sessions.
func (s *Store) CreateSession(ctx context.Context, session *webhook.Session, hash []byte, once *store.Once) error {
	return s.transactOnce(ctx, "create a session", once, func(tx *sqlx.Tx) error {
		if err := lockMakerOf(ctx, tx, session.TenantID, session.KeyID, session.CreatedAt); err != nil {
			return err
		}
		if err := s.insertSession(ctx, tx, session, hash); err != nil {
			return err
		}
		return endOldestSessions(ctx, tx, session)
	})
}

// endOldestSessions keeps to the limit those that were made as this one was. Sessions of portals are limited by their links.
func endOldestSessions(ctx context.Context, tx *sqlx.Tx, made *webhook.Session) error {
	query, args := endOldest, []any{made.KeyID, webhook.MaxSessions}
	switch {
	case made.OfPortal():
		return nil
	case made.TenantID == "":
		query, args = endOldestOfAdmins, []any{webhook.MaxSessions}
	}
	_, err := tx.ExecContext(ctx, query, args...)
	return err
}

// lockMakerOf keeps a key from being revoked until what it makes is there; the zero key is an administrator's.
func lockMakerOf(ctx context.Context, tx *sqlx.Tx, tenant string, key webhook.KeyID, at time.Time) error {
	if key.IsZero() {
		return nil
	}
	_, err := lockMaker(ctx, tx, tenant, key, at)
	return err
}

func (s *Store) insertSession(ctx context.Context, tx *sqlx.Tx, session *webhook.Session, hash []byte) error {
	_, err := tx.ExecContext(ctx, insertSession, session.ID, hash, session.TenantID, orNull(session.KeyID), session.MakerCheck, orNull(session.LinkID),
		scopeNames(session.Scopes), optionalJSON(session.Confinement, session.Confinement != nil), session.CreatedAt, session.ExpiresAt)
	if err != nil {
		return err
	}
	return s.audited(ctx, tx, session.TenantID, "session.created", session.ID.String(), nil, sessionFields(session).all())
}

// SessionByHash implements store.Sessions.
func (s *Store) SessionByHash(ctx context.Context, hash []byte) (*store.FoundSession, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var row sessionRow
	err := sqlx.GetContext(ctx, s.db, &row, selectSession, hash)
	if missing(err) {
		return nil, webhook.UnknownSession()
	}
	if err != nil {
		return nil, failed("find a session", err)
	}
	session, err := row.session()
	if err != nil {
		return nil, err
	}
	key, err := findMaker(ctx, s.db, session.KeyID)
	if missing(err) {
		return nil, webhook.UnknownSession()
	}
	return &store.FoundSession{Session: *session, Key: key}, failed("find a session's key", err)
}

// findMaker returns the key that made a session or a link; nil for the zero key; sql.ErrNoRows: it is revoked.
func findMaker(ctx context.Context, q sqlx.QueryerContext, id webhook.KeyID) (*webhook.APIKey, error) {
	if id.IsZero() {
		return nil, nil
	}
	var row keyRow
	if err := sqlx.GetContext(ctx, q, &row, selectMaker, id); err != nil {
		return nil, err
	}
	return row.key()
}

// EndSession implements store.Sessions.
func (s *Store) EndSession(ctx context.Context, session *webhook.Session) error {
	return s.transact(ctx, "end a session", func(tx *sqlx.Tx) error {
		done, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE id = $1`, session.ID)
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		return s.audited(ctx, tx, session.TenantID, "session.ended", session.ID.String(), nil, nil)
	})
}
