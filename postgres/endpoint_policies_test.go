package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// An event to all of a tenant's endpoints carries each of their policies, so there is a limit to how many differ.
func TestCreateEndpoint_PolicyLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	_, err := b.db.ExecContext(t.Context(), `
		INSERT INTO endpoints (id, tenant_id, url, event_types, retry, created_at, updated_at)
		SELECT gen_random_uuid(), 'acme', 'https://r.example', '{*}', format('{"schedule":["%ss"]}', n)::json, now(), now()
		FROM generate_series(1, $1) AS n`, webhook.MaxPolicies)
	require.NoError(t, err)
	plain := func() *webhook.Endpoint {
		return &webhook.Endpoint{ID: newEndpointID(), TenantID: "acme", URL: "https://r.example", EventTypes: []string{"*"}, CreatedAt: now(), UpdatedAt: now()}
	}
	own := func(seconds int) *webhook.Endpoint {
		e := plain()
		e.Retry = &webhook.RetryPolicy{Schedule: []webhook.Duration{webhook.Duration(time.Duration(seconds) * time.Second)}}
		return e
	}
	create := func(e *webhook.Endpoint) error { return b.CreateEndpoint(t.Context(), e, webhook.Secret{}, 0, nil) }
	requireCode(t, webhook.CodeConflict, create(own(webhook.MaxPolicies+1)))
	require.NoError(t, create(plain()), "one without a policy of its own")
	e := own(7)
	require.NoError(t, create(e), "one that shares another's")
	_, err = b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error {
		e.Retry = &webhook.RetryPolicy{Policy: "table-5"}
		return nil
	})
	requireCode(t, webhook.CodeConflict, err)

	// More than the limit were stored before there was one: each can be changed in all else.
	b.exec(`UPDATE endpoints SET retry = '{"schedule":["3h"]}' WHERE id = $1`, e.ID)
	changed, err := b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error {
		e.Description = "changed"
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "changed", changed.Description)
}
