package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// DisableEndpoint implements store.Endpoints.
func (s *Store) DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error) {
	return s.setEnabled(ctx, tenant, id, "disable an endpoint", change.By, func(e *webhook.Endpoint) bool {
		if change.URL != "" && change.URL != e.URL {
			return false
		}
		if e.DisabledAt != nil && e.DisabledBy != webhook.ByVerification {
			return false // who disables an unverified endpoint wants it to stay so once it is verified
		}
		disable(e, change)
		return true
	}, func(tx *sqlx.Tx, e *webhook.Endpoint) error { return s.storeDisabled(ctx, tx, e, nil) })
}

// EnableEndpoint implements store.Endpoints.
func (s *Store) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error) {
	return s.setEnabled(ctx, tenant, id, "enable an endpoint", change.By, func(e *webhook.Endpoint) bool {
		if e.DisabledAt == nil {
			return false
		}
		e.DisabledAt, e.DisabledBy, e.DisabledReason, e.UpdatedAt = nil, "", "", change.At
		return true
	}, func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		if err := refuseUnproven(ctx, tx, e); err != nil {
			return err
		}
		return s.storeEnabled(ctx, tx, e, cleanText(change.By))
	})
}

func disable(e *webhook.Endpoint, change webhook.Change) {
	e.DisabledAt, e.DisabledBy, e.DisabledReason, e.UpdatedAt = &change.At, cleanText(change.By), cleanText(change.Reason), change.At
}

// setEnabled stores what change did to the endpoint, while nobody else can change it.
func (s *Store) setEnabled(ctx context.Context, tenant string, id webhook.EndpointID, what, by string, change func(*webhook.Endpoint) bool, save func(*sqlx.Tx, *webhook.Endpoint) error) (*webhook.Endpoint, bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	// When many attempts find that the receiver is gone, all except the first return here and do not wait for the tenant's
	// row.
	e, err := s.Endpoint(ctx, tenant, id)
	if err != nil {
		return nil, false, err
	}
	if unchanged := *e; !change(&unchanged) {
		if by == webhook.ByReceiver { // the next answer repeats it
			return e, false, nil
		}
		return e, false, s.confirm(ctx) // who was not answered asks again
	}
	changed := false
	e, err = s.changeEndpoint(ctx, tenant, id, what, func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		if changed = change(e); !changed {
			return nil
		}
		return save(tx, e)
	})
	if err != nil {
		return nil, false, err
	}
	return e, changed, nil
}

// deletesEndpoint is what the deletion of an endpoint sets, at $2: the row stays for its deliveries, and nothing in it that is a secret or
// somebody's.
const deletesEndpoint = `deleted_at = clock_timestamp(), updated_at = $2, url = '', filter = NULL, description = '', metadata = NULL,
	headers_sealed = NULL, auth_sealed = NULL, verification = NULL, certificate_expires_at = NULL, certificate_warn_at = NULL, secret_sealed = NULL,
	previous_secret_sealed = NULL, previous_until = NULL, secret_switch_at = NULL, wake_due = true, version = version + ` + versionStep

// DeleteEndpoint implements store.Endpoints. The row stays, so that old deliveries still name it. When it was deleted is by the
// database's clock, which says when no record can come any more.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error {
	_, err := s.changeEndpoint(ctx, tenant, id, "delete an endpoint", func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		for _, check := range checks {
			if err := check(e); err != nil {
				return refusal{err}
			}
		}
		// Its recoveries before its streak: who takes deliveries out of a recovery may wait for a record, which waits for the streak.
		if err := s.endRecoveriesOf(ctx, tx, tenant, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, forgetStreak, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE endpoints SET `+deletesEndpoint+` WHERE id = $1`, id, at)
		if err != nil {
			return err
		}
		return s.audited(ctx, tx, tenant, "endpoint.deleted", id.String(), endpointFields(e).all(), nil)
	})
	return err
}
