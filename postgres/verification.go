package postgres

import (
	"context"
	"reflect"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	selectVerifies = `SELECT verify_endpoints FROM tenants WHERE id = $1`

	updateUnproven = `
		UPDATE endpoints SET unverified = $2, verified_at = NULL, allowed_rate = 0, disabled_at = $3, disabled_by = $4, disabled_reason = $5,
			wake_due = wake_due OR $2
		WHERE id = $1`

	updateProven = `UPDATE endpoints SET unverified = false, verified_at = $2, allowed_rate = $3 WHERE id = $1`

	updateUnasked = `UPDATE endpoints SET unverified = false WHERE id = $1`

	// touchEndpoint is for a proof that changes nothing else.
	touchEndpoint = `UPDATE endpoints SET version = $2, updated_at = $3 WHERE id = $1`
)

// notVerified is the reason of an endpoint that is held until it is verified.
const notVerified = "the receiver has not proven yet that it wants the deliveries"

// mustProve reports whether the endpoint's receiver has to prove itself. The tenant's row is locked by the transaction.
func mustProve(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint) (bool, error) {
	if e.Verification != nil {
		return true, nil
	}
	var tenant bool
	err := tx.GetContext(ctx, &tenant, selectVerifies, e.TenantID)
	return tenant, err
}

// holdUnproven makes the endpoint one that waits for a proof, where what its receiver has proven does not hold any more, and reports
// whether that changed it. was is the endpoint before; nil: it is new. A person who disabled it stays the one who did.
func holdUnproven(ctx context.Context, tx *sqlx.Tx, e, was *webhook.Endpoint) (bool, error) {
	moved := was == nil || e.URL != was.URL
	if !moved && (e.Verification == nil || reflect.DeepEqual(e.Verification, was.Verification)) {
		return false, nil
	}
	must, err := mustProve(ctx, tx, e)
	if err != nil || !must && e.VerifiedAt == nil {
		return false, err
	}
	e.VerifiedAt, e.AllowedRate = nil, 0
	if must {
		e.Unverified = true
		if e.DisabledAt == nil {
			disable(e, webhook.Change{By: webhook.ByVerification, Reason: notVerified, At: e.UpdatedAt})
		}
	}
	return true, nil
}

// storeUnproven stores what holdUnproven did. Nobody is told: who changed the endpoint sees it in the answer.
func storeUnproven(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint) error {
	_, err := tx.ExecContext(ctx, updateUnproven, e.ID, e.Unverified, e.DisabledAt, e.DisabledBy, e.DisabledReason)
	return err
}

// refuseUnproven refuses to enable an endpoint whose receiver has to prove itself. One that is not asked any more needs no proof.
func refuseUnproven(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint) error {
	if !e.Unverified {
		return nil
	}
	must, err := mustProve(ctx, tx, e)
	if err != nil {
		return err
	}
	if must {
		return webhook.Errorf(webhook.CodeConflict, "the endpoint is not verified; POST .../verify asks its receiver, and enables it when the receiver passes")
	}
	e.Unverified = false
	_, err = tx.ExecContext(ctx, updateUnasked, e.ID)
	return err
}

// VerifyEndpoint implements store.Verifications.
func (s *Store) VerifyEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, proof webhook.Proof) (*webhook.Endpoint, bool, error) {
	enabled := false
	e, err := s.changeEndpoint(ctx, tenant, id, "verify an endpoint", func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		if e.Version != proof.Version {
			return webhook.Errorf(webhook.CodeConflict, "the endpoint was changed while its receiver was asked; verify it again")
		}
		e.Unverified, e.VerifiedAt, e.AllowedRate, e.UpdatedAt = false, &proof.At, proof.AllowedRate, proof.At
		if _, err := tx.ExecContext(ctx, updateProven, id, proof.At, proof.AllowedRate); err != nil {
			return err
		}
		enabled = e.DisabledAt != nil && e.DisabledBy == webhook.ByVerification
		if err := storeProven(ctx, tx, e, enabled); err != nil {
			return err
		}
		after := map[string]any{"method": proof.Method, "enabled": enabled}
		if proof.AllowedRate > 0 {
			after["allowed_rate"] = proof.AllowedRate
		}
		return s.audited(ctx, tx, tenant, "endpoint.verified", id.String(), nil, after)
	})
	if err != nil {
		return nil, false, err
	}
	return e, enabled, nil
}

// storeProven gives the endpoint a new version, and enables it where it waited for nothing else.
func storeProven(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint, enable bool) error {
	if !enable {
		e.Version = nextVersion(e.Version)
		_, err := tx.ExecContext(ctx, touchEndpoint, e.ID, e.Version, e.UpdatedAt)
		return err
	}
	e.DisabledAt, e.DisabledBy, e.DisabledReason = nil, "", ""
	if err := storeTransition(ctx, tx, e); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, resetStreak, e.ID)
	return err
}

// Receiver implements store.Verifications. It reads past the caches, because who asks is in no hurry.
func (s *Store) Receiver(ctx context.Context, tenant string, id webhook.EndpointID) (*store.Sending, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	in := &sendingInputs{senders: map[string]loaded[*sender]{}, receivers: map[webhook.EndpointID]loaded[*receiver]{}}
	if err := s.loadSenders(ctx, []string{tenant}, in.senders); err != nil {
		return nil, failed("read a receiver", err)
	}
	if err := s.loadReceivers(ctx, []webhook.EndpointID{id}, in.receivers); err != nil {
		return nil, failed("read a receiver", err)
	}
	from, to := in.senders[tenant], in.receivers[id]
	switch {
	case from.err != nil:
		return nil, failed("read a receiver", from.err)
	case to.err != nil:
		return nil, failed("read a receiver", to.err)
	case from.value == nil || to.value == nil || to.value.deleted || to.value.endpoint.TenantID != tenant:
		return nil, notFound("endpoint", id.String())
	}
	return &store.Sending{Tenant: from.value.tenant, Endpoint: to.value.endpoint, Keys: to.value.signs(from.value)}, nil
}
