package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// withKey makes an API key of the tenant and returns the tenant as its holder uses it, and the key's id.
func (tn *tenant) withKey(t *testing.T, scopes ...string) (*tenant, string) {
	t.Helper()
	id, key := tn.keyOf(t, scopes...)
	holder := *tn
	holder.caller = &caller{tn.server, key}
	return &holder, id
}

// keyOf makes an API key of the tenant and returns its id and its text.
func (tn *tenant) keyOf(t *testing.T, scopes ...string) (id, key string) {
	t.Helper()
	var k struct{ ID, Key string }
	tn.call(t, "POST", tn.path+"/keys", fields{"name": "test", "scopes": scopes}).is(t, 201, &k)
	require.Regexp(t, `^wbk_[A-Za-z0-9_-]{43}$`, k.Key)
	return k.ID, k.Key
}

// For a key, resources of another tenant do not exist.
func TestKey_OtherTenant(t *testing.T) {
	t.Parallel()
	s := shared(t)
	mine, theirs := newTenant(t, s, "standard", nil), newTenant(t, s, "standard", nil)
	r := newReceiver(t, reply{status: 500})
	e := theirs.endpoint(t, r, nil)
	sent := theirs.publish(t, `{"type":"order.confirmed","data":1}`, 1)
	d := sent.Deliveries[0].ID
	theirs.waitDelivery(t, d, "retrying", 1)
	made := theirs.attempts(t, d)[0].ID
	holder, _ := mine.withKey(t, "publish", "read", "manage")

	for _, below := range []string{theirs.path, mine.path} { // by their path, and by my own with their ids
		for _, call := range []struct{ method, path string }{
			{"GET", "/endpoints/" + e.ID}, {"DELETE", "/endpoints/" + e.ID}, {"GET", "/endpoints/" + e.ID + "/secret"},
			{"POST", "/endpoints/" + e.ID + "/disable"}, {"POST", "/endpoints/" + e.ID + "/enable"}, {"POST", "/endpoints/" + e.ID + "/test"},
			{"GET", "/events/" + sent.ID}, {"GET", "/events/" + sent.ID + "/history"},
			{"GET", "/deliveries/" + d}, {"GET", "/deliveries/" + d + "/attempts"}, {"GET", "/deliveries/" + d + "/attempts/" + made},
			{"POST", "/deliveries/" + d + "/retry"}, {"POST", "/deliveries/" + d + "/cancel"},
		} {
			holder.call(t, call.method, below+call.path, nil).isProblem(t, 404, "not_found")
		}
		holder.call(t, "PATCH", below+"/endpoints/"+e.ID, fields{"description": "mine"}).isProblem(t, 404, "not_found")
	}
	for _, path := range []string{"", "/secret", "/keys", "/endpoints", "/deliveries"} {
		holder.call(t, "GET", theirs.path+path, nil).isProblem(t, 404, "not_found")
	}
	holder.call(t, "POST", theirs.path+"/events", `{"type":"order.confirmed","data":2}`).isProblem(t, 404, "not_found")
	require.Empty(t, holder.deliveries(t, ""))
	require.Empty(t, holder.deliveries(t, "?endpoint="+e.ID))
	require.Equal(t, "retrying", theirs.delivery(t, d).Status)
	require.Equal(t, "enabled", theirs.showEndpoint(t, e.ID).Status)
}

// How many endpoints a tenant may have and whether it is express is the administrator's to set.
func TestKey_AdministratorsFields(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", fields{"limits": fields{"endpoints": 1}, "url": "https://shop.example"})
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	more := fields{"url": r.url, "event_types": []string{"*"}}
	p := tn.call(t, "POST", tn.path+"/endpoints", more).isProblem(t, 409, "conflict")
	require.Contains(t, p.Detail, "1 is the limit: delete one first")

	holder, _ := tn.withKey(t, "read", "manage")
	for field, value := range map[string]any{"limits": fields{"endpoints": 2}, "express": true} {
		p := holder.call(t, "PATCH", tn.path, fields{field: value}).isProblem(t, 403, "forbidden")
		require.Equal(t, field, p.Errors[0].Field)
	}
	tn.call(t, "PATCH", tn.path, fields{"limits": fields{"endpoints": 2}}).is(t, 200, nil)
	tn.call(t, "POST", tn.path+"/endpoints", more).is(t, 201, nil)
	var shown struct {
		URL     string
		Express bool
		Limits  struct{ Endpoints int }
	}
	holder.call(t, "GET", tn.path, nil).is(t, 200, &shown)
	require.Equal(t, "https://shop.example", shown.URL)
	require.Equal(t, 2, shown.Limits.Endpoints)
	require.False(t, shown.Express)
}

// A key does what its scopes name, and no more.
func TestKey_Scopes(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	r := newReceiver(t)
	e := tn.endpoint(t, r, fields{"headers": map[string]string{"X-Shop-Key": "open-sesame-4711"}})
	tn.server.group.secrets.add("open-sesame-4711")
	calls := map[string]func(*tenant) *answer{
		"publish": func(h *tenant) *answer {
			return h.call(t, "POST", h.path+"/events", `{"type":"order.confirmed","data":1}`)
		},
		"read": func(h *tenant) *answer { return h.call(t, "GET", h.path+"/deliveries", nil) },
		"manage": func(h *tenant) *answer {
			return h.call(t, "PATCH", h.path+"/endpoints/"+e.ID, fields{"description": "x"})
		},
	}
	for scope := range calls {
		holder, _ := tn.withKey(t, scope)
		for needed, call := range calls {
			if a := call(holder); needed != scope {
				a.isProblem(t, 403, "forbidden")
			} else {
				require.Less(t, a.status, 300, "%s", a.body)
			}
		}
		holder.call(t, "POST", "/v1/tenants", fields{"id": "x", "name": "X", "dialect": "rheo"}).isProblem(t, 403, "forbidden")
	}
	reader, _ := tn.withKey(t, "read")
	require.Equal(t, "[redacted]", reader.showEndpoint(t, e.ID).Headers["X-Shop-Key"])
	reader.call(t, "GET", tn.path+"/endpoints/"+e.ID+"/secret", nil).isProblem(t, 403, "forbidden")
	require.Equal(t, "open-sesame-4711", tn.showEndpoint(t, e.ID).Headers["X-Shop-Key"])
}

func TestKey_Revoked(t *testing.T) {
	t.Parallel()
	tn := newTenant(t, shared(t), "standard", nil)
	holder, id := tn.withKey(t, "read")
	holder.call(t, "GET", tn.path, nil).is(t, 200, nil)
	tn.call(t, "DELETE", tn.path+"/keys/"+id, nil).is(t, 204, nil)
	holder.call(t, "GET", tn.path, nil).isProblem(t, 401, "unauthorized")
	for _, key := range []string{"", "wbk_unknown", "wbk_" + "0123456789012345678901234567890123456789012"} {
		nobody := &caller{tn.server, key}
		a := nobody.call(t, "GET", tn.path, nil)
		a.isProblem(t, 401, "unauthorized")
		require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
	}
}
