package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	selectWarnings = `
		SELECT tenant_id, id FROM endpoints WHERE certificate_warn_at <= $1 AND deleted_at IS NULL ORDER BY certificate_warn_at LIMIT $2`

	// takeWarning takes a warning that nobody has taken, and locks the endpoint.
	takeWarning = `UPDATE endpoints SET certificate_warn_at = NULL WHERE id = $1 AND certificate_warn_at <= $2 AND deleted_at IS NULL`

	setWarning = `UPDATE endpoints SET certificate_warn_at = $2 WHERE id = $1`
)

// certificateExpiring is the data of the operational event endpoint.certificate_expiring.
type certificateExpiring struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Host       string             `json:"host"`
	ExpiresAt  string             `json:"expires_at"`
}

// firstWarning returns when the end of a client certificate is told that is stored now; nil: never.
func firstWarning(e *webhook.Endpoint) *time.Time {
	if e.CertificateExpiresAt == nil {
		return nil
	}
	span, err := e.Auth.Span()
	if err != nil { // one that nobody checked
		return nil
	}
	return span.FirstWarning(e.UpdatedAt)
}

// WarnOfCertificates implements store.Certificates.
func (s *Store) WarnOfCertificates(ctx context.Context, now time.Time, limit int) ([]store.ExpiringCertificate, error) {
	var due []store.EndpointRef
	if err := s.list(ctx, &due, selectWarnings, now, limit); err != nil {
		return nil, failed("find certificates that end", err)
	}
	var warned []store.ExpiringCertificate
	var errs []error
	for _, ref := range due {
		until, err := s.warnOfCertificate(ctx, ref, now)
		if err != nil {
			errs = append(errs, err)
		} else if until != nil {
			warned = append(warned, store.ExpiringCertificate{EndpointRef: ref, ExpiresAt: *until})
		}
	}
	return warned, errors.Join(errs...)
}

// warnOfCertificate returns when the certificate ends; nil: somebody else has warned, or it is gone.
func (s *Store) warnOfCertificate(ctx context.Context, ref store.EndpointRef, now time.Time) (*time.Time, error) {
	var until *time.Time
	err := s.transact(ctx, "warn of a certificate", func(tx *sqlx.Tx) error {
		taken, err := tx.ExecContext(ctx, takeWarning, ref.ID, now)
		if err != nil {
			return err
		}
		if n, err := taken.RowsAffected(); err != nil || n == 0 {
			return err
		}
		e, err := s.findEndpoint(ctx, tx, ref.TenantID, ref.ID, "")
		if err != nil || e.CertificateExpiresAt == nil {
			return err
		}
		span, err := e.Auth.Span()
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, setWarning, ref.ID, span.NextWarning(now)); err != nil {
			return err
		}
		until = &span.Until
		return s.tellOperator(ctx, tx, ref.TenantID, webhook.TypeCertificateExpiring,
			certificateExpiring{ref.TenantID, ref.ID, e.Host(), span.Until.Format(time.RFC3339)})
	})
	return until, err
}
