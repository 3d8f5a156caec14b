package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

const endpointColumns = `id, tenant_id, url, event_types, filter, description, headers_sealed, auth_sealed, certificate_expires_at, retry, timeout_ms,
	auto_disable, metadata, signing, also_sign_as, verification, unverified, verified_at, allowed_rate, disabled_at, disabled_by, disabled_reason, created_at, updated_at,
	version`

type endpointRow struct {
	webhook.Endpoint
	Types         pq.StringArray `db:"event_types"`
	FilterJSON    []byte         `db:"filter"`
	HeadersSealed []byte         `db:"headers_sealed"`
	AuthSealed    []byte         `db:"auth_sealed"`
	RetryJSON     []byte         `db:"retry"`
	TimeoutMS     *int64         `db:"timeout_ms"`
	AutoDisable   []byte         `db:"auto_disable"`
	MetadataJSON  []byte         `db:"metadata"`
	SigningJSON   []byte         `db:"signing"`
	AlsoJSON      []byte         `db:"also_sign_as"`
	VerifyJSON    []byte         `db:"verification"`
	Deleted       bool           `db:"deleted"`
	secretsRow
}

func headersLocation(id webhook.EndpointID) location {
	return location{"endpoints.headers_sealed", id.String()}
}

func authLocation(id webhook.EndpointID) location {
	return location{"endpoints.auth_sealed", id.String()}
}

func (s *Store) readEndpoint(r *endpointRow) (*webhook.Endpoint, error) {
	e, err := r.subscription()
	if err != nil {
		return nil, err
	}
	headers, err := s.keys.open(r.HeadersSealed, headersLocation(e.ID))
	if err != nil {
		return nil, err
	}
	if headers != nil {
		if err := json.Unmarshal(headers, &e.Headers); err != nil {
			return nil, fmt.Errorf("the headers of %s are not JSON", e.ID) // the decoder's error would quote them
		}
	}
	auth, err := s.keys.open(r.AuthSealed, authLocation(e.ID))
	if err != nil {
		return nil, err
	}
	if auth != nil {
		if e.Auth, err = webhook.ReadAuth(auth); err != nil {
			return nil, fmt.Errorf("read the endpoint %s: %w", e.ID, err)
		}
	}
	if r.TimeoutMS != nil {
		timeout := webhook.Duration(time.Duration(*r.TimeoutMS) * time.Millisecond)
		e.Timeout = &timeout
	}
	if r.AutoDisable != nil {
		e.AutoDisable = new(webhook.AutoDisable)
		if err := json.Unmarshal(r.AutoDisable, e.AutoDisable); err != nil {
			return nil, fmt.Errorf("read auto_disable of %s: %w", e.ID, err)
		}
	}
	if err := r.readSigning(e); err != nil {
		return nil, fmt.Errorf("read the endpoint %s: %w", e.ID, err)
	}
	if e.Metadata, err = readStrings(r.MetadataJSON); err != nil {
		return nil, fmt.Errorf("read the endpoint %s: %w", e.ID, err)
	}
	return e, nil
}

// readSigning reads how the endpoint is signed and verified. Most rows say nothing of it.
func (r *endpointRow) readSigning(e *webhook.Endpoint) error {
	if r.SigningJSON != nil {
		e.Signing = new(webhook.Signing)
		if err := json.Unmarshal(r.SigningJSON, e.Signing); err != nil {
			return fmt.Errorf("signing: %w", err)
		}
	}
	if r.AlsoJSON != nil {
		e.AlsoSignAs = new(webhook.AlsoSignAs)
		if err := json.Unmarshal(r.AlsoJSON, e.AlsoSignAs); err != nil {
			return fmt.Errorf("also_sign_as: %w", err)
		}
	}
	if r.VerifyJSON != nil {
		e.Verification = new(webhook.Verification)
		if err := json.Unmarshal(r.VerifyJSON, e.Verification); err != nil {
			return fmt.Errorf("verification: %w", err)
		}
	}
	return nil
}

// subscription reads the part of the endpoint that selects its events, and nothing that is sealed.
func (r *endpointRow) subscription() (*webhook.Endpoint, error) {
	e := r.Endpoint
	e.EventTypes = r.Types
	var err error
	if e.Retry, err = readRetry(r.RetryJSON); err != nil {
		return nil, fmt.Errorf("read the endpoint %s: %w", e.ID, err)
	}
	if r.FilterJSON != nil {
		if err := json.Unmarshal(r.FilterJSON, &e.Filter); err != nil {
			return nil, fmt.Errorf("read the filter of %s: %w", e.ID, err)
		}
	}
	return &e, nil
}

// endpointArgs are the changeable values of an endpoint: $3 to $16.
func (s *Store) endpointArgs(e *webhook.Endpoint) []any {
	var headers, timeout any
	if len(e.Headers) > 0 {
		headers = s.keys.seal(mustJSON(e.Headers), headersLocation(e.ID))
	}
	if e.Timeout != nil {
		timeout = e.Timeout.Std().Milliseconds()
	}
	return []any{
		e.URL, pq.StringArray(e.EventTypes), optionalJSON(e.Filter, len(e.Filter) > 0), e.Description, headers,
		optionalJSON(e.Retry, e.Retry != nil), timeout, optionalJSON(e.AutoDisable, e.AutoDisable != nil),
		optionalJSON(e.Metadata, len(e.Metadata) > 0),
		optionalJSON(e.Signing, e.Signing != nil), optionalJSON(e.AlsoSignAs, e.AlsoSignAs != nil),
		s.sealAuth(e), e.CertificateExpiresAt, optionalJSON(e.Verification, e.Verification != nil),
	}
}

// sealAuth returns nil where there are no credentials.
func (s *Store) sealAuth(e *webhook.Endpoint) any {
	if e.Auth == nil {
		return nil
	}
	return s.keys.seal(e.Auth.Reveal(), authLocation(e.ID))
}

// CreateEndpoint implements store.Endpoints.
func (s *Store) CreateEndpoint(ctx context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int, once *store.Once) error {
	return s.transactOnce(ctx, "create an endpoint", once, func(tx *sqlx.Tx) error {
		if err := touchTenant(ctx, tx, e.TenantID); err != nil {
			return err
		}
		if err := checkLimit(ctx, tx, e.TenantID, limit); err != nil {
			return err
		}
		if err := checkPolicies(ctx, tx, e); err != nil {
			return err
		}
		if _, err := holdUnproven(ctx, tx, e, nil); err != nil {
			return err
		}
		args := append([]any{e.ID, e.TenantID}, s.endpointArgs(e)...)
		args = append(args, s.keys.seal([]byte(secret.Reveal()), endpointSecrets(e.ID).current()), e.CreatedAt, e.UpdatedAt,
			e.DisabledAt, e.DisabledBy, e.DisabledReason, firstWarning(e), e.Unverified)
		_, err := tx.ExecContext(ctx, `
			INSERT INTO endpoints (id, tenant_id, url, event_types, filter, description, headers_sealed, retry, timeout_ms, auto_disable,
				metadata, signing, also_sign_as, auth_sealed, certificate_expires_at, verification, secret_sealed, created_at, updated_at, disabled_at, disabled_by,
				disabled_reason, certificate_warn_at, unverified)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`, args...)
		if err != nil {
			return err
		}
		e.Version = 1
		after := endpointFields(e)
		after.add("disabled", e.DisabledReason)
		return s.audited(ctx, tx, e.TenantID, "endpoint.created", e.ID.String(), nil, after.all())
	})
}

// checkLimit is exact because touchTenant lets one caller in at a time.
func checkLimit(ctx context.Context, tx *sqlx.Tx, tenant string, limit int) error {
	if limit <= 0 {
		return nil
	}
	var n int
	err := tx.GetContext(ctx, &n, `SELECT count(*) FROM endpoints WHERE tenant_id = $1 AND deleted_at IS NULL`, tenant)
	if err == nil && n >= limit {
		return webhook.Errorf(webhook.CodeConflict, "the number of the tenant's endpoints is %d, and %d is the limit: delete one first; the administrator can raise a limit that is not the dialect's", n, limit)
	}
	return err
}

// selectPolicyLimit reports whether the retry policy $3 of the endpoint $2 would be one too many for the tenant.
const selectPolicyLimit = `
	SELECT count(DISTINCT retry::text) >= $4 AND NOT coalesce(bool_or(retry::text = $3), false)
	FROM endpoints WHERE tenant_id = $1 AND id <> $2 AND deleted_at IS NULL AND retry IS NOT NULL`

// checkPolicies keeps the number of different retry policies of a tenant's endpoints within webhook.MaxPolicies.
func checkPolicies(ctx context.Context, tx *sqlx.Tx, e *webhook.Endpoint) error {
	if e.Retry == nil {
		return nil
	}
	var over bool
	err := tx.GetContext(ctx, &over, selectPolicyLimit, e.TenantID, e.ID, string(mustJSON(e.Retry)), webhook.MaxPolicies)
	if err == nil && over {
		return webhook.Errorf(webhook.CodeConflict,
			"the tenant's endpoints have %d different retry policies, which is the limit; give this one a policy that another has", webhook.MaxPolicies)
	}
	return err
}

// Endpoint implements store.Endpoints.
func (s *Store) Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	e, err := s.findEndpoint(ctx, s.db, tenant, id, "")
	if err == nil {
		err = addStreaks(ctx, s.db, e)
	}
	if err != nil {
		return nil, failed("find an endpoint", err)
	}
	return e, nil
}

func (s *Store) findEndpoint(ctx context.Context, q sqlx.QueryerContext, tenant string, id webhook.EndpointID, locking string) (*webhook.Endpoint, error) {
	var row endpointRow
	err := sqlx.GetContext(ctx, q, &row, `
		SELECT `+endpointColumns+` FROM endpoints WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL `+locking, id, tenant)
	if err != nil {
		return nil, orNotFound(err, "endpoint", id.String())
	}
	return s.readEndpoint(&row)
}

// pageAfter reads the id that a page starts after; zero for the first page.
func pageAfter[I any, P interface {
	*I
	UnmarshalText([]byte) error
}](page store.Page) (I, error) {
	var id I
	if page.After == "" {
		return id, nil
	}
	if err := P(&id).UnmarshalText([]byte(page.After)); err != nil {
		return id, webhook.Errorf(webhook.CodeInvalid, "the page cannot start after %q", page.After).WithCause(err)
	}
	return id, nil
}

// UpdateEndpoint implements store.Endpoints.
func (s *Store) UpdateEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change func(*webhook.Endpoint) error) (*webhook.Endpoint, error) {
	return s.changeEndpoint(ctx, tenant, id, "update an endpoint", func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		stored, auth, before, was := e.Retry, e.Auth, endpointFields(e), *e
		if err := change(e); err != nil {
			return refusal{err}
		}
		// One that was stored before there was a limit stays.
		if !reflect.DeepEqual(e.Retry, stored) {
			if err := checkPolicies(ctx, tx, e); err != nil {
				return err
			}
		}
		unproven, err := holdUnproven(ctx, tx, e, &was)
		if err != nil {
			return err
		}
		e.Version = nextVersion(e.Version)
		args := append([]any{id, e.Version}, s.endpointArgs(e)...)
		_, err = tx.ExecContext(ctx, `
			UPDATE endpoints SET version = $2, url = $3, event_types = $4, filter = $5, description = $6, headers_sealed = $7,
				retry = $8, timeout_ms = $9, auto_disable = $10, metadata = $11, signing = $12, also_sign_as = $13, auth_sealed = $14,
				certificate_expires_at = $15, verification = $16, updated_at = $17, certificate_warn_at = CASE WHEN $18 THEN $19 ELSE certificate_warn_at END
			WHERE id = $1`, append(args, e.UpdatedAt, e.Auth != auth, firstWarning(e))...)
		if err == nil && unproven {
			err = storeUnproven(ctx, tx, e)
		}
		if err != nil {
			return err
		}
		return s.auditedUpdate(ctx, tx, tenant, "endpoint.updated", id.String(), before, endpointFields(e))
	})
}

// changeEndpoint locks tenant and endpoint, always in this order, and lets change write the endpoint. The tenant's new
// version invalidates all cached entries.
func (s *Store) changeEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, what string, change func(*sqlx.Tx, *webhook.Endpoint) error) (*webhook.Endpoint, error) {
	var e *webhook.Endpoint
	err := s.transact(ctx, what, func(tx *sqlx.Tx) (err error) {
		if err := touchTenant(ctx, tx, tenant); err != nil {
			return err
		}
		if e, err = s.findEndpoint(ctx, tx, tenant, id, "FOR UPDATE"); err != nil {
			return err
		}
		if err := change(tx, e); err != nil {
			return err
		}
		return addStreaks(ctx, tx, e)
	})
	if err != nil {
		return nil, unrefused(err)
	}
	return e, nil
}

// EndpointSecret implements store.Endpoints.
func (s *Store) EndpointSecret(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.SigningKeys, error) {
	return s.revealed(ctx, "find an endpoint's secret", tenant, id.String(), func(tx *sqlx.Tx) (webhook.SigningKeys, error) {
		var row secretsRow
		err := tx.GetContext(ctx, &row, `SELECT `+secretColumns+` FROM endpoints WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL`, id, tenant)
		if err != nil {
			return webhook.SigningKeys{}, orNotFound(err, "endpoint", id.String())
		}
		return s.openKeys(&row, endpointSecrets(id))
	})
}
