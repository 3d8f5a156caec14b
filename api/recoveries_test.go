package api_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func (m *memStore) CountRecovery(_ context.Context, r *webhook.Recovery) (*store.RecoveryCount, error) {
	leave, err := m.enter("CountRecovery")
	defer leave()
	if err == nil {
		_, err = m.findEndpoint(r.TenantID, r.EndpointID)
	}
	return &store.RecoveryCount{Matched: 3, ByType: map[string]int64{"order.confirmed": 3}}, err
}

func (m *memStore) CreateRecovery(_ context.Context, r *webhook.Recovery, once *store.Once) error {
	leave, err := m.enter("CreateRecovery")
	defer leave()
	if err != nil {
		return err
	}
	if err := m.repeats(once); err != nil {
		return err
	}
	if e, ok := m.endpoints[r.EndpointID]; !ok || e.TenantID != r.TenantID {
		return missing("endpoint", r.EndpointID.String())
	}
	r.Matched, r.Status = 3, webhook.RecoveryRunning
	m.recoveries[r.ID] = *r
	return m.remember(once)
}

func (m *memStore) Recovery(_ context.Context, tenant string, id webhook.RecoveryID) (*webhook.Recovery, error) {
	leave, err := m.enter("Recovery")
	defer leave()
	r, ok := m.recoveries[id]
	if err == nil && (!ok || r.TenantID != tenant) {
		err = missing("recovery", id.String())
	}
	return &r, err
}

func (m *memStore) Recoveries(_ context.Context, tenant string, f store.RecoveryFilter) ([]webhook.Recovery, error) {
	leave, err := m.enter("Recoveries")
	defer leave()
	all := slices.DeleteFunc(slices.Collect(maps.Values(m.recoveries)), func(r webhook.Recovery) bool {
		return r.TenantID != tenant || !f.EndpointID.IsZero() && r.EndpointID != f.EndpointID || !m.within(f.Within, r.EndpointID)
	})
	return pageOf(all, f.Page, func(r webhook.Recovery) string { return r.ID.String() }), err
}

func (m *memStore) CancelRecovery(ctx context.Context, tenant string, id webhook.RecoveryID, at time.Time) (*webhook.Recovery, error) {
	r, err := m.Recovery(ctx, tenant, id)
	leave, failed := m.enter("CancelRecovery")
	defer leave()
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	if r.Status != webhook.RecoveryRunning {
		return nil, webhook.Errorf(webhook.CodeConflict, "the recovery is %s already", r.Status)
	}
	r.Status, r.FinishedAt = webhook.RecoveryCanceled, &at
	m.recoveries[id] = *r
	return r, nil
}

func TestRecoveries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	const path = "/v1/tenants/acme/recoveries"

	count := b.admin("POST", path, `{"endpoint_id":"`+endpoint+`","dry_run":true}`).want(200)
	require.JSONEq(t, `{"matched":3,"by_type":{"order.confirmed":3}}`, string(count.body))
	require.Empty(t, b.store.recoveries, "it only counted")
	require.Empty(t, b.engine.told)

	created := b.admin("POST", path, `{"endpoint_id":"`+endpoint+`"}`).want(201)
	got := into[object](created)
	id := got["id"].(string)
	require.Equal(t, path+"/"+id, created.header.Get("Location"))
	require.Equal(t, object{
		"id": id, "endpoint_id": endpoint, "since": "2026-02-26T14:32:00.123456Z", "until": "2026-05-27T14:32:00.123456Z",
		"statuses": []any{"exhausted", "canceled"}, "missed": false, "status": "running", "matched": 3.0, "sent": 0.0, "delivered": 0.0,
		"failed": 0.0, "created_at": "2026-05-27T14:32:00.123456Z",
	}, got)
	require.Equal(t, []string{"wake acme " + endpoint}, b.engine.told)
	require.Equal(t, got, into[object](b.admin("GET", path+"/"+id, "").want(200)))

	b.admin("POST", path, `{"endpoint_id":"`+endpoint+`","since":"2026-05-27T12:00:00+02:00","until":"2026-05-27T13:00:00Z","statuses":["canceled"],
		"event_types":["order.*"],"missed":true,"rate":50,"reason":"the outage","dry_run":false}`).want(201)
	page := into[struct{ Data []object }](b.admin("GET", path+"?endpoint="+endpoint, "").want(200))
	require.Len(t, page.Data, 2)
	require.Equal(t, "2026-05-27T10:00:00Z", page.Data[1]["since"])
	require.Equal(t, []any{"order.*"}, page.Data[1]["event_types"])
	require.EqualValues(t, 50, page.Data[1]["rate"])
	one := into[object](b.admin("GET", path+"?limit=1", "").want(200))
	b.admin("GET", path+"?limit=1&cursor="+one["next_cursor"].(string), "").want(200)
	b.admin("GET", path+"?status=running", "").problem(422, webhook.CodeInvalid)

	require.Equal(t, "canceled", into[object](b.admin("POST", path+"/"+id+"/cancel", "").want(200))["status"])
	b.admin("POST", path+"/"+id+"/cancel", "{}").problem(409, webhook.CodeConflict)
	b.tenant("other", "standard")
	for _, at := range []string{"/v1/tenants/other/recoveries/" + id, path + "/" + endpoint, path + "/rec_x"} {
		b.admin("GET", at, "").problem(404, webhook.CodeNotFound)
		b.admin("POST", at+"/cancel", "").problem(404, webhook.CodeNotFound)
	}
}

func TestRecoveries_RefusesWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	for body, fields := range map[string][]string{
		`{}`:                     {"endpoint_id"},
		`{"endpoint_id":"dlv_"}`: {"endpoint_id"},
		`{"endpoint_id":"` + endpoint + `","rate":0}`:                                                      {"rate"},
		`{"endpoint_id":"` + endpoint + `","rate":10001}`:                                                  {"rate"},
		`{"endpoint_id":"` + endpoint + `","statuses":[]}`:                                                 {"statuses"},
		`{"endpoint_id":"` + endpoint + `","statuses":["held"],"event_types":["a*"]}`:                      {"statuses[0]", "event_types[0]"},
		`{"endpoint_id":"` + endpoint + `","since":"2026-02-26T14:31:00Z"}`:                                {"since"},
		`{"endpoint_id":"` + endpoint + `","since":"2026-05-27T00:00:00Z","until":"2026-05-27T00:00:00Z"}`: {"until"},
		`{"endpoint_id":"` + endpoint + `","since":"yesterday"}`:                                           {"since"},
		`{"endpoint_id":"` + endpoint + `","reason":"two\nlines"}`:                                         {"reason"},
		`{"endpoint_id":"` + endpoint + `","statues":["held"]}`:                                            {"statues"},
	} {
		require.Equal(t, fields, b.admin("POST", "/v1/tenants/acme/recoveries", body).problem(422, webhook.CodeInvalid).fields(), body)
	}
	for _, dryRun := range []string{"true", "false"} {
		b.store.breakWith(missing("endpoint", "gone"), "CountRecovery", "CreateRecovery")
		b.admin("POST", "/v1/tenants/acme/recoveries", `{"endpoint_id":"`+endpoint+`","dry_run":`+dryRun+`}`).problem(404, webhook.CodeNotFound)
	}
	require.Empty(t, b.engine.told)
}

// A client that repeats its request gets the first answer, and no second recovery.
func TestRecoveries_OncePerKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	body := `{"endpoint_id":"` + b.endpoint("acme") + `","since":"2026-05-27T00:00:00Z"`
	first := b.admin("POST", "/v1/tenants/acme/recoveries", body+"}", "Idempotency-Key", "k").want(201)
	again := b.admin("POST", "/v1/tenants/acme/recoveries", body+"}", "Idempotency-Key", "k").want(201)
	require.Equal(t, string(first.body), string(again.body))
	require.Len(t, b.store.recoveries, 1)
	b.admin("POST", "/v1/tenants/acme/recoveries", body+`,"until":"2026-05-27T01:00:00Z"}`, "Idempotency-Key", "k").problem(409, webhook.CodeIdempotencyConflict)
}

// The recovery is in the database: a queue that cannot be woken now is woken by the reconciler.
func TestRecoveries_TemporalDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	b.engine.wake = func() error { return webhook.Errorf(webhook.CodeUnavailable, "Temporal does not answer") }
	b.admin("POST", "/v1/tenants/acme/recoveries", `{"endpoint_id":"`+b.endpoint("acme")+`"}`).want(201)
	require.Contains(t, b.log.String(), "was not woken")
}

func TestRecoveries_Scopes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	body := `{"endpoint_id":"` + b.endpoint("acme") + `"}`
	reader, manager := b.key("acme", webhook.ScopeRead), b.key("acme", webhook.ScopeManage)
	b.call(reader, "POST", "/v1/tenants/acme/recoveries", body).problem(403, webhook.CodeForbidden)
	id := into[object](b.call(manager, "POST", "/v1/tenants/acme/recoveries", body).want(201))["id"].(string)
	b.call(reader, "GET", "/v1/tenants/acme/recoveries/"+id, "").want(200)
	b.call(reader, "POST", "/v1/tenants/acme/recoveries/"+id+"/cancel", "").problem(403, webhook.CodeForbidden)
}
