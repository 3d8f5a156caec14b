package api_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/webhook"
)

// audited has, for every route that changes something or shows a secret, the action of its entry. "" is a route that leaves none, and
// says why.
var audited = map[string]string{
	"POST /v1/tenants":                            "tenant.created",
	"PATCH /v1/tenants/{tenant}":                  "tenant.updated",
	"DELETE /v1/tenants/{tenant}":                 "tenant.erased",
	"GET /v1/tenants/{tenant}/secret":             "secret.revealed",
	"POST /v1/tenants/{tenant}/rotate-secret":     "secret.rotated",
	"POST /v1/tenants/{tenant}/retire-secret":     "secret.retired",
	"POST /v1/tenants/{tenant}/keys":              "key.created",
	"DELETE /v1/tenants/{tenant}/keys/{key}":      "key.revoked",
	"POST /v1/tenants/{tenant}/keys/{key}/rotate": "key.rotated",

	"POST /v1/sessions":                      "session.created",
	"DELETE /v1/session":                     "session.ended",
	"POST /v1/portal-sessions":               "session.created",
	"POST /v1/sign-in-links":                 "sign_in_link.created",
	"POST /v1/tenants/{tenant}/portal-links": "portal_link.created",

	"PUT /v1/tenants/{tenant}/event-types/{type}":    "event_type.put",
	"DELETE /v1/tenants/{tenant}/event-types/{type}": "event_type.deleted",

	"POST /v1/tenants/{tenant}/endpoints":                    "endpoint.created",
	"PATCH /v1/tenants/{tenant}/endpoints/{endpoint}":        "endpoint.updated",
	"DELETE /v1/tenants/{tenant}/endpoints/{endpoint}":       "endpoint.deleted",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/disable": "endpoint.disabled",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/enable":  "endpoint.enabled",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/test":    "endpoint.tested",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify":  "endpoint.verified",
	"GET /v1/tenants/{tenant}/endpoints/{endpoint}/secret":   "secret.revealed",

	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/rotate-secret": "secret.rotated",
	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/retire-secret": "secret.retired",

	"POST /v1/tenants/{tenant}/endpoints/{endpoint}/verify-signature": "", // it changes nothing and shows no secret

	"POST /v1/tenants/{tenant}/events":       "", // the list of events has it
	"POST /v1/tenants/{tenant}/events/batch": "", // the list of events has it

	"DELETE /v1/tenants/{tenant}/events/{event}": "event.erased",

	"POST /v1/tenants/{tenant}/deliveries/{delivery}/retry":  "delivery.retried",
	"POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel": "delivery.canceled",
	"POST /v1/tenants/{tenant}/recoveries":                   "recovery.created",
	"POST /v1/tenants/{tenant}/recoveries/{recovery}/cancel": "recovery.canceled",

	"POST /v1/dispatches/{dispatch}/retry": "dispatch.retried",
	"POST /v1/quarantine/{position}/retry": "quarantine.retried",
	"DELETE /v1/quarantine/{position}":     "quarantine.deleted",
}

// leavesEntry reports whether a route must be in audited.
func leavesEntry(rt api.Route) bool {
	return rt.Method != http.MethodGet || strings.HasSuffix(rt.Path, "/secret")
}

// Every route that changes something, or shows a secret, leaves one entry, with who sent which request from where. The changes are
// those of the real store.
func TestAudit_EveryChange(t *testing.T) {
	t.Parallel()
	w := newAuditWorld(t)
	seen := 0
	for i, rt := range w.server.Routes() {
		route := rt.Method + " " + rt.Path
		action, known := audited[route]
		require.Equal(t, leavesEntry(rt), known, "%s needs a row in audited, which says what entry it leaves", route)
		if action == "" {
			continue
		}
		seen++
		t.Run(route, func(t *testing.T) {
			row := matrix[route]
			values := w.values(i, rt, row)
			a, actor := w.change(rt, row, values)
			found := into[struct{ Data []webhook.AuditEntry }](w.admin("GET", "/v1/audit?action="+action, "").want(200))
			var of []webhook.AuditEntry
			for _, e := range found.Data {
				if e.RequestID == a.header.Get("X-Request-Id") {
					of = append(of, e)
				}
			}
			require.Len(t, of, 1, "entries of the request")
			require.Equal(t, actor, of[0].Actor)
			require.Equal(t, "192.0.2.1", of[0].Address)
			require.NotEmpty(t, of[0].Target)
			require.Contains(t, w.log.String(), "msg=audit action="+action+" tenant="+orQuotes(of[0].TenantID)+" target="+of[0].Target+" actor="+actor+" address=192.0.2.1")
		})
	}
	require.Greater(t, seen, 20)
}

// orQuotes is a value as the log has it.
func orQuotes(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

// change sends the request of a route with the admin key, and what only a session or a link can do with those. It returns who did it.
func (w *auditWorld) change(rt api.Route, row matrixRow, values map[string]string) (*answer, string) {
	w.t.Helper()
	switch rt.Method + " " + rt.Path {
	case "DELETE /v1/session":
		token := into[session](w.admin("POST", "/v1/sessions", "").want(201)).Token
		return w.call(token, rt.Method, rt.Path, "").want(204), "admin"
	case "POST /v1/portal-sessions":
		link := into[struct{ ID, URL string }](w.admin("POST", "/v1/tenants/"+values["tenant"]+"/portal-links", "").want(201))
		return w.call("", rt.Method, rt.Path, `{"token":"`+linkToken(link.URL)+`"}`).want(201), link.ID
	default:
		return w.admin(rt.Method, fill(rt.Path+row.query, values), fill(row.body, values)).want(row.status), "admin"
	}
}

// auditWorld is a server with the real store, and without workflows.
type auditWorld struct {
	*testBundle
	db *sqlx.DB
}

// storeEngine does what the engine does in the database.
type storeEngine struct {
	*fakeEngine
	store *postgres.Store
}

func (e *storeEngine) DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	out, _, err := e.store.DisableEndpoint(ctx, tenant, id, change)
	return out, err
}

func (e *storeEngine) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error) {
	out, _, err := e.store.EnableEndpoint(ctx, tenant, id, change)
	return out, err
}

func (e *storeEngine) VerifyEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, proof webhook.Proof) (*webhook.Endpoint, error) {
	out, _, err := e.store.VerifyEndpoint(ctx, tenant, id, proof)
	return out, err
}

func (e *storeEngine) ChallengeEndpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Proof, error) {
	now, err := e.store.Endpoint(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return &webhook.Proof{Version: now.Version, Method: webhook.VerifyToken}, nil
}

func (e *storeEngine) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error {
	return e.store.DeleteEndpoint(ctx, tenant, id, at, checks...)
}

func newAuditWorld(t *testing.T) *auditWorld {
	t.Helper()
	w := new(auditWorld)
	w.testBundle = setup(t, func(o *api.Options) {
		s := postgrestest.New(t, func(p *postgres.Options) { p.Logger, p.Dialects = o.Logger, o.Dialects })
		o.Store, o.Now, o.NewUUID = s, time.Now, func() [16]byte { return uuid.Must(uuid.NewV7()) }
		o.Engine = &storeEngine{fakeEngine: &fakeEngine{}, store: s}
		u, err := url.Parse(postgrestest.URL(t))
		require.NoError(t, err)
		q := u.Query()
		q.Set("search_path", s.Schema())
		u.RawQuery = q.Encode()
		w.db, err = sqlx.Open("postgres", u.String())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, w.db.Close()) })
	})
	return w
}

// values makes a tenant for a route, with what the route needs, and returns the variables of its path.
func (w *auditWorld) values(n int, rt api.Route, row matrixRow) map[string]string {
	w.t.Helper()
	tenant, dialect := "t"+string(rune('a'+n%26))+string(rune('a'+n/26)), "standard"
	if row.dialect != "" {
		dialect = row.dialect
	}
	w.tenant(tenant, dialect)
	values := map[string]string{"tenant": tenant, "type": "parcel.moved", "position": "7"}
	if dialect == "standard" {
		values["endpoint"] = w.endpoint(tenant)
	}
	if of, retires := strings.CutSuffix(rt.Path, "/retire-secret"); retires {
		w.admin("POST", fill(of, values)+"/rotate-secret", "").want(200)
	}
	if dialect != "standard" {
		return values
	}
	if strings.HasSuffix(rt.Path, "/enable") {
		w.admin("POST", "/v1/tenants/"+tenant+"/endpoints/"+values["endpoint"]+"/disable", "").want(200)
	}
	switch {
	case strings.Contains(rt.Path, "{delivery}"):
		values["delivery"] = w.publish(tenant, `{"type":"a.b","data":1}`)
	case strings.Contains(rt.Path, "{event}"):
		values["event"] = "e1"
		w.publish(tenant, `{"type":"a.b","data":1,"id":"e1"}`)
	case strings.Contains(rt.Path, "{key}"):
		values["key"] = into[object](w.admin("POST", "/v1/tenants/"+tenant+"/keys", `{"name":"k","scopes":["read"]}`).want(201))["id"].(string)
	case strings.Contains(rt.Path, "{recovery}"):
		values["recovery"] = into[object](w.admin("POST", "/v1/tenants/"+tenant+"/recoveries", `{"endpoint_id":"`+values["endpoint"]+`"}`).want(201))["id"].(string)
	case strings.Contains(rt.Path, "{type}"):
		w.putType(tenant, values["type"], `{"description":"d"}`).want(201)
	case strings.Contains(rt.Path, "{position}"):
		_, err := w.db.Exec(`INSERT INTO outbox_quarantine (position, event_key, tenant_id, event_type, data, bytes, created_at, code, reason, quarantined_at)
			VALUES (7, gen_random_uuid(), $1, 'a.b', '1', 1, now(), 'invalid', 'r', now())`, tenant)
		require.NoError(w.t, err)
	case strings.Contains(rt.Path, "{dispatch}"):
		w.publish(tenant, `{"type":"a.b","data":1}`)
		var key webhook.EventKey
		err := w.db.Get(&key, `UPDATE dispatches SET set_aside_at = now() WHERE event_key = (SELECT id FROM events WHERE tenant_id = $1) RETURNING event_key`, tenant)
		require.NoError(w.t, err)
		values["dispatch"] = key.String()
	}
	return values
}
