package postgres_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

func fullEndpoint(e *webhook.Endpoint) {
	timeout := webhook.Duration(1500 * time.Millisecond)
	e.EventTypes = []string{"order.*", `odd"\,{}`}
	e.Filter = map[string][]string{"auction_id": {"a", "b"}}
	e.Description = "the description"
	e.Headers = map[string]string{"X-Api-Key": "hunter2hunter2"}
	e.Retry = &webhook.RetryPolicy{Policy: "exponential-5", Jitter: 0.5}
	e.Timeout = &timeout
	e.AutoDisable = &webhook.AutoDisable{Failures: 7, Span: webhook.Duration(time.Hour)}
	e.Metadata = map[string]string{"team": "billing é", "n": `"`}
	e.Signing = &webhook.Signing{Algorithm: webhook.Ed25519, MessageSignatures: new(true)}
	e.AlsoSignAs = &webhook.AlsoSignAs{Dialect: "rheo", Until: now().Add(time.Hour)}
	at := now()
	e.DisabledAt, e.DisabledBy, e.DisabledReason = &at, "key_1", "created disabled"
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e := b.endpoint("acme", fullEndpoint)
	found, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, e, found)
	require.EqualValues(t, 1, found.Version)
	secret, err := b.EndpointSecret(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, webhook.NewSecret([]byte(e.ID.String())).Reveal(), secret.Current.Reveal())

	_, err = b.Endpoint(t.Context(), "other", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.EndpointSecret(t.Context(), "other", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
	lost := *e
	lost.ID, lost.TenantID = newEndpointID(), "nobody"
	requireCode(t, webhook.CodeNotFound, b.CreateEndpoint(t.Context(), &lost, webhook.Secret{}, 0, nil))
}

func TestEndpoints_Pages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	var want, got []webhook.EndpointID
	for range 5 {
		want = append(want, b.endpoint("acme").ID)
	}
	b.endpoint("other")
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", want[2], now()))
	want = slices.Delete(want, 2, 3)
	page := store.Page{Limit: 2}
	for {
		found, err := b.Endpoints(t.Context(), "acme", store.EndpointFilter{Page: page})
		require.NoError(t, err)
		for _, e := range found.Items {
			got = append(got, e.ID)
		}
		if len(found.Items) < 2 {
			break
		}
		page.After = found.Items[1].ID.String()
	}
	require.Equal(t, want, got)
	_, err := b.Endpoints(t.Context(), "acme", store.EndpointFilter{Page: store.Page{After: "ep_x", Limit: 2}})
	requireCode(t, webhook.CodeInvalid, err)
}

func TestCreateEndpoint_LimitIsExact(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.endpoint("other")
	var created, refused atomic.Int32
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			e := &webhook.Endpoint{ID: newEndpointID(), TenantID: "acme", EventTypes: []string{"*"}, CreatedAt: now(), UpdatedAt: now()}
			switch err := b.CreateEndpoint(t.Context(), e, webhook.Secret{}, 3, nil); webhook.ErrorCode(err) {
			case "":
				created.Add(1)
			case webhook.CodeConflict:
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 3, created.Load())
	require.EqualValues(t, 9, refused.Load())
}

func TestUpdateEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme", fullEndpoint)
	tenant, err := b.Tenant(t.Context(), "acme")
	require.NoError(t, err)
	changed, err := b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error {
		e.URL, e.Headers, e.Filter, e.Retry, e.Timeout = "https://new.example", nil, nil, nil, nil
		e.AutoDisable, e.Metadata = &webhook.AutoDisable{Off: true}, nil
		e.EventTypes = []string{"*"}
		e.UpdatedAt = e.UpdatedAt.Add(time.Second)
		return nil
	})
	require.NoError(t, err)
	found, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, found, changed)
	require.Equal(t, "https://new.example", found.URL)
	require.Nil(t, found.Headers)
	require.Nil(t, found.Metadata)
	require.Equal(t, &webhook.AutoDisable{Off: true}, found.AutoDisable)
	require.Equal(t, e.DisabledAt, found.DisabledAt, "a change does not enable it")
	require.Greater(t, found.Version, e.Version)
	secret, err := b.EndpointSecret(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, webhook.NewSecret([]byte(e.ID.String())).Reveal(), secret.Current.Reveal())
	after, err := b.Tenant(t.Context(), "acme")
	require.NoError(t, err)
	require.Greater(t, after.Version, tenant.Version)

	no := errors.New("no")
	_, err = b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error { e.URL = "lost"; return no })
	require.Equal(t, no, err)
	unchanged, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, found, unchanged)
	_, err = b.UpdateEndpoint(t.Context(), "other", e.ID, func(*webhook.Endpoint) error { return nil })
	requireCode(t, webhook.CodeNotFound, err)
}

func TestSwitchEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	at := now()
	_, changed, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: at})
	require.NoError(t, err)
	require.False(t, changed)

	off, changed, err := b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{Reason: "gone\x00 away", At: at})
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, at, *off.DisabledAt)
	require.Equal(t, "gone\uFFFD away", off.DisabledReason)
	again, changed, err := b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{Reason: "later", At: at.Add(time.Hour)})
	require.NoError(t, err)
	require.False(t, changed)
	require.Equal(t, off, again, "the first reason and time stay")
	require.Len(t, b.due(), 1, "what waits in its queue is to be held")
	require.NoError(t, b.QueueWoken(t.Context(), "acme", e.ID, off.Version))
	require.Empty(t, b.due())

	on, changed, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: at})
	require.NoError(t, err)
	require.True(t, changed)
	require.Nil(t, on.DisabledAt)
	require.Empty(t, on.DisabledReason)
	require.Equal(t, []store.EndpointRef{{TenantID: "acme", ID: e.ID}}, b.due())

	_, _, err = b.DisableEndpoint(t.Context(), "other", e.ID, webhook.Change{Reason: "x", At: at})
	requireCode(t, webhook.CodeNotFound, err)
	_, _, err = b.EnableEndpoint(t.Context(), "other", e.ID, webhook.Change{At: at})
	requireCode(t, webhook.CodeNotFound, err)
}

func TestDeleteEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme", fullEndpoint)
	requireCode(t, webhook.CodeNotFound, b.DeleteEndpoint(t.Context(), "other", e.ID, now()))
	refused := errors.New("no")
	require.Equal(t, refused, b.DeleteEndpoint(t.Context(), "acme", e.ID, now(), func(now *webhook.Endpoint) error {
		require.Equal(t, e, now)
		return refused
	}))
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now(), func(*webhook.Endpoint) error { return nil }))
	_, err := b.Endpoint(t.Context(), "acme", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.EndpointSecret(t.Context(), "acme", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
	requireCode(t, webhook.CodeNotFound, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM endpoints WHERE id = $1 AND deleted_at IS NOT NULL AND url = ''
		AND headers_sealed IS NULL AND secret_sealed IS NULL AND filter IS NULL AND metadata IS NULL`, e.ID))
	require.Len(t, b.due(), 1, "what waits for it is to be canceled")
}

// due lists the endpoints whose queues are to be woken.
func (b *bundle) due() []store.EndpointRef {
	b.t.Helper()
	due, err := b.QueuesToWake(b.t.Context(), webhook.EndpointID{}, 100)
	require.NoError(b.t, err)
	return due
}

func TestSecrets_AreNotReadableInTheTables(t *testing.T) {
	t.Parallel()
	b := setup(t)
	secret := webhook.NewSecret([]byte("the tenant's secret"))
	require.NoError(t, b.CreateTenant(t.Context(), &webhook.Tenant{ID: "acme", Name: "a", Dialect: "tradevine", CreatedAt: now()}, secret, nil))
	e := b.endpoint("acme", fullEndpoint)
	for _, table := range []string{"tenants", "endpoints"} {
		var rows []string
		require.NoError(t, b.db.Select(&rows, `SELECT x::text || encode(convert_to(x::text, 'UTF8'), 'escape') FROM `+table+` x`))
		require.NotEmpty(t, rows)
		for _, hidden := range []string{
			"hunter2", "X-Api-Key", secret.Reveal(), webhook.NewSecret([]byte(e.ID.String())).Reveal(), "whsec",
			hexOf("hunter2"), hexOf("X-Api-Key"), hexOf("whsec"),
		} {
			require.NotContains(t, rows[0], hidden)
		}
	}
}

func TestSecrets_DoNotOpenInAnotherRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	mine, theirs := b.endpoint("acme", fullEndpoint), b.endpoint("acme", fullEndpoint)
	_, err := b.db.Exec(`UPDATE endpoints SET (secret_sealed, headers_sealed) = (SELECT secret_sealed, headers_sealed FROM endpoints WHERE id = $2)
		WHERE id = $1`, mine.ID, theirs.ID)
	require.NoError(t, err)
	_, err = b.EndpointSecret(t.Context(), "acme", mine.ID)
	requireCode(t, webhook.CodeInternal, err)
	_, err = b.Endpoint(t.Context(), "acme", mine.ID)
	requireCode(t, webhook.CodeInternal, err)
	_, err = b.EndpointSecret(t.Context(), "acme", theirs.ID)
	require.NoError(t, err)
}

func TestSecrets_KeyRotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme", fullEndpoint)
	next := postgres.Key{ID: "next", Key: [32]byte{9}}
	both, only := b.opts, b.opts
	both.Keys, only.Keys = []postgres.Key{next, postgrestest.Key()}, []postgres.Key{next}
	rotating, after := postgrestest.Open(t, both), postgrestest.Open(t, only)

	found, err := rotating.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, e.Headers, found.Headers)
	_, err = after.Endpoint(t.Context(), "acme", e.ID)
	require.ErrorContains(t, err, `encryption key "test", which is not configured`)
	_, err = rotating.UpdateEndpoint(t.Context(), "acme", e.ID, func(*webhook.Endpoint) error { return nil })
	require.NoError(t, err)
	found, err = after.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err, "the first key sealed it anew")
	require.Equal(t, e.Headers, found.Headers)
}

func hexOf(s string) string { return hex.EncodeToString([]byte(s)) }

// People see how the attempts of an endpoint went: of one, in the list, and in the answer to a change.
func TestEndpoints_Streak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	failing, fine := b.endpoint("acme"), b.endpoint("acme")
	since, last, success := now(), now().Add(time.Minute), now().Add(-time.Minute)
	b.db.MustExec(`INSERT INTO endpoint_streaks (endpoint_id, tenant_id, failures, since, last_failure_at, last_success_at)
		VALUES ($1, 'acme', 3, $2, $3, $4)`, failing.ID, since, last, success)
	want := webhook.Streak{Failures: 3, Since: &since, LastFailureAt: &last}
	found, err := b.Endpoint(t.Context(), "acme", failing.ID)
	require.NoError(t, err)
	require.Equal(t, want, found.Streak)
	require.Equal(t, &last, found.LastFailureAt)
	require.Equal(t, &success, found.LastSuccessAt)
	changed, err := b.UpdateEndpoint(t.Context(), "acme", failing.ID, func(*webhook.Endpoint) error { return nil })
	require.NoError(t, err)
	require.Equal(t, want, changed.Streak)
	list, err := b.Endpoints(t.Context(), "acme", store.EndpointFilter{Page: store.Page{Limit: 10}})
	require.NoError(t, err)
	require.Equal(t, want, list.Items[0].Streak)
	require.Equal(t, fine, &list.Items[1])
}
