package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// newKey makes a key of acme through the API, with more members in JSON, and returns its answer.
func (b *testBundle) newKey(maker, scopes, more string) object {
	b.t.Helper()
	return into[object](b.call(maker, "POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":`+scopes+more+`}`).want(201))
}

// clock is a server's clock that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(d.Microseconds()) }

func (c *clock) use(o *api.Options) { o.Now = c.now }

func TestKeys_Expire(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use)
	b.tenant("acme", "standard")
	made := b.newKey(adminKey, `["read"]`, `,"expires_at":"2026-05-27T15:00:00Z"`)
	require.Equal(t, "2026-05-27T15:00:00Z", made["expires_at"])
	key := made["key"].(string)
	b.call(key, "GET", "/v1/tenants/acme", "").want(200)
	c.advance(28*time.Minute - time.Microsecond)
	b.call(key, "GET", "/v1/tenants/acme", "").want(200)
	c.advance(time.Microsecond)
	unknown := b.call("wbk_"+strings.Repeat("x", 43), "GET", "/v1/tenants/acme", "").problem(401, webhook.CodeUnauthorized)
	require.Equal(t, unknown.Detail, b.call(key, "GET", "/v1/tenants/acme", "").problem(401, webhook.CodeUnauthorized).Detail)

	b.lenient = true
	for _, wrong := range []string{`"2026-05-27T15:00:00Z"`, `"2020-01-01T00:00:00Z"`} {
		p := b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"],"expires_at":`+wrong+`}`).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"expires_at"}, p.fields())
	}
	b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"],"expires_at":"tomorrow"}`).problem(422, webhook.CodeInvalid)
}

// The key's maker and its last use are shown; the use is written once a minute, and not by the request.
func TestKeys_CreatedByAndLastUsed(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use, func(o *api.Options) {
		o.AdminKeys = append(o.AdminKeys, api.AdminKey{Name: "alice", Key: "alices-key-0123456789"})
	})
	b.tenant("acme", "standard")
	first := b.newKey(adminKey, `["read","manage"]`, "")
	require.Equal(t, "admin", first["created_by"])
	require.Equal(t, "admin:alice", b.newKey("alices-key-0123456789", `["read"]`, "")["created_by"])
	key := first["key"].(string)
	require.NotContains(t, b.listed(first["id"]), "last_used_at")

	require.Equal(t, first["id"], b.newKey(key, `["read"]`, "")["created_by"])
	used := func() any { return b.listed(first["id"])["last_used_at"] }
	require.Eventually(t, func() bool { return used() == "2026-05-27T14:32:00Z" }, 5*time.Second, time.Millisecond)
	for range 50 {
		b.call(key, "GET", "/v1/tenants/acme", "").want(200)
	}
	c.advance(time.Minute)
	b.call(key, "GET", "/v1/tenants/acme", "").want(200)
	require.Eventually(t, func() bool { return used() == "2026-05-27T14:33:00Z" }, 5*time.Second, time.Millisecond)
	require.Equal(t, 2, b.store.called("NoteKeyUses"))
}

// listed returns a key as the list shows it.
func (b *testBundle) listed(id any) object {
	b.t.Helper()
	for _, k := range into[object](b.admin("GET", "/v1/tenants/acme/keys?limit=200", "").want(200))["data"].([]any) {
		if k.(object)["id"] == id {
			return k.(object)
		}
	}
	b.t.Fatalf("the key %v is not listed", id)
	return nil
}

func TestKeys_LastUseIsWrittenWhenTheServerStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	key := b.newKey(adminKey, `["read"]`, "")
	b.call(key["key"].(string), "GET", "/v1/tenants/acme", "").want(200)
	b.server.Close()
	id := parseID[webhook.KeyID](t, key["id"].(string))
	kept, err := b.store.APIKey(t.Context(), "acme", id)
	require.NoError(t, err)
	require.NotNil(t, kept.LastUsedAt)
}

// Nobody makes a key that may do more than his own.
func TestKeys_NotAboveTheirMaker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	manager := b.newKey(adminKey, `["manage"]`, "")["key"].(string)
	for _, scopes := range []string{`["read"]`, `["publish"]`, `["manage","read"]`} {
		p := b.call(manager, "POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":`+scopes+`}`).problem(403, webhook.CodeForbidden)
		require.Regexp(t, `^scopes\[[01]\]$`, p.fields()[0])
	}
	b.newKey(manager, `["manage"]`, "")

	bound := b.newKey(adminKey, `["manage"]`, `,"allow_cidrs":["192.0.2.0/24"]`)["key"].(string)
	require.Equal(t, []any{"192.0.2.0/24"}, b.newKey(bound, `["manage"]`, "")["allow_cidrs"], "it passes on its own")
	require.Equal(t, []any{"192.0.2.128/25", "192.0.2.7/32"}, b.newKey(bound, `["manage"]`, `,"allow_cidrs":["192.0.2.130/25","192.0.2.7"]`)["allow_cidrs"])
	for _, wider := range []string{"192.0.0.0/16", "198.51.100.0/24", "::/0", "0.0.0.0/0"} {
		p := b.call(bound, "POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["manage"],"allow_cidrs":["192.0.2.1","`+wider+`"]}`).problem(403, webhook.CodeForbidden)
		require.Equal(t, []string{"allow_cidrs[1]"}, p.fields())
	}
	// Nor by putting a new one in the place of somebody else's.
	reader := b.newKey(adminKey, `["read"]`, "")["id"].(string)
	b.call(manager, "POST", "/v1/tenants/acme/keys/"+reader+"/rotate", "").problem(403, webhook.CodeForbidden)
	unbound := b.newKey(adminKey, `["manage"]`, "")["id"].(string)
	b.call(bound, "POST", "/v1/tenants/acme/keys/"+unbound+"/rotate", "").problem(403, webhook.CodeForbidden)
}

// A key that ends makes none that is left when it has ended, be it a new one or one in the place of another.
func TestKeys_NotLongerThanTheirMaker(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use)
	b.tenant("acme", "standard")
	const end, later = "2026-05-27T15:00:00Z", "2026-05-27T15:00:00.000001Z"
	maker := b.newKey(adminKey, `["manage"]`, `,"expires_at":"`+end+`"`)
	key, path := maker["key"].(string), "/v1/tenants/acme/keys"
	require.Equal(t, end, b.newKey(key, `["manage"]`, "")["expires_at"], "it passes on its own")
	require.Equal(t, end, b.newKey(key, `["manage"]`, `,"expires_at":"`+end+`"`)["expires_at"])
	require.Equal(t, "2026-05-27T14:59:00Z", b.newKey(key, `["manage"]`, `,"expires_at":"2026-05-27T14:59:00Z"`)["expires_at"])

	endless := b.newKey(adminKey, `["manage"]`, "")["id"].(string)
	for _, call := range []string{path, path + "/" + endless + "/rotate", path + "/" + maker["id"].(string) + "/rotate"} {
		body := `{"expires_at":"` + later + `"`
		if call == path {
			body += `,"name":"k","scopes":["manage"]`
		}
		p := b.call(key, "POST", call, body+"}").problem(403, webhook.CodeForbidden)
		require.Equal(t, []string{"expires_at"}, p.fields())
		require.Contains(t, p.Errors[0].Detail, end)
	}
	c.advance(10 * time.Minute)
	require.Equal(t, end, into[object](b.call(key, "POST", path+"/"+endless+"/rotate", "").want(201))["expires_at"])
	require.Equal(t, end, into[object](b.call(key, "POST", path+"/"+maker["id"].(string)+"/rotate", "").want(201))["expires_at"], "nor itself")
	administrators := b.newKey(adminKey, `["manage"]`, `,"expires_at":"`+end+`"`)
	require.Equal(t, "2026-05-27T15:00:00Z", administrators["expires_at"])
	require.Equal(t, later, into[object](b.admin("POST", path+"/"+administrators["id"].(string)+"/rotate", `{"expires_at":"`+later+`"}`).want(201))["expires_at"])
}

// The administrator says how many live keys a tenant may have.
func TestKeys_Limit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	limits := func(a *answer) any { return into[object](a)["limits"] }
	require.Equal(t, object{"endpoints": 500.0, "keys": 100.0}, limits(b.admin("PATCH", "/v1/tenants/acme", `{"limits":{"endpoints":500}}`).want(200)))
	require.Equal(t, object{"endpoints": 500.0, "keys": 2.0}, limits(b.admin("PATCH", "/v1/tenants/acme", `{"limits":{"endpoints":500,"keys":2}}`).want(200)))
	first := b.newKey(adminKey, `["read"]`, "")["id"].(string)
	b.newKey(adminKey, `["read"]`, "")
	const path, more = "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"]}`
	require.Contains(t, b.admin("POST", path, more).problem(409, webhook.CodeConflict).Detail, "2 live API keys")
	b.admin("POST", path+"/"+first+"/rotate", "").want(201)
	b.admin("POST", path, more).problem(409, webhook.CodeConflict)
	b.admin("PATCH", "/v1/tenants/acme", `{"limits":{"endpoints":500,"keys":3}}`).want(200)
	b.admin("POST", path, more).want(201)
	for _, wrong := range []string{"-1", "10001"} {
		b.lenient = true
		p := b.admin("PATCH", "/v1/tenants/acme", `{"limits":{"endpoints":500,"keys":`+wrong+`}}`).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"limits.keys"}, p.fields())
	}
}

func TestKeys_AllowCIDRs(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	b.tenant("acme", "standard")
	key := b.newKey(adminKey, `["read"]`, `,"allow_cidrs":["192.0.2.0/24","2001:db8::/32"]`)["key"].(string)
	for _, from := range []struct {
		peer, forwarded string
		status          int
	}{
		{"192.0.2.1:5", "", 200}, {"[2001:db8::9]:5", "", 200}, {"[::ffff:192.0.2.1]:5", "", 200},
		{"198.51.100.1:5", "", 403}, {"[2001:db9::1]:5", "", 403}, {"@", "", 403},
		{"198.51.100.1:5", "192.0.2.1", 403}, // no proxy of ours
		{"10.1.2.3:5", "192.0.2.1", 200}, {"[fd00::1]:5", "192.0.2.1", 200}, {"10.1.2.3:5", "192.0.2.1:4711", 200},
		{"10.1.2.3:5", "[2001:db8::1]:4711", 200}, {"10.1.2.3:5", "[2001:db8::1]", 200},
		{"10.1.2.3:5", "198.51.100.1, 192.0.2.1, 10.9.9.9", 200},
		{"10.1.2.3:5", "192.0.2.1, 198.51.100.1", 403}, // the client wrote the first one
		{"10.1.2.3:5", "192.0.2.1, nonsense", 403}, {"10.1.2.3:5", "", 403}, {"10.1.2.3:5", " , ", 403}, {"10.1.2.3:5", "192.0.2.1,,", 200},
	} {
		r := newRequest("/v1/tenants/acme", from.peer)
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("X-Forwarded-For", from.forwarded)
		a := b.send(r, "")
		a.want(from.status)
		if from.status == 403 {
			detail := a.problem(403, webhook.CodeForbidden).Detail
			require.Contains(t, detail, "may not be used from the address")
			require.NotContains(t, detail, "invalid")
			require.Equal(t, from.peer == "@" || strings.Contains(from.forwarded, "nonsense"), strings.Contains(detail, "not known"))
		}
	}
	b.lenient = true
	p := b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"],"allow_cidrs":["10.0.0.0/8","10.0.0.0/33","::ffff:10.0.0.1/104","fe80::1%eth0","host"]}`).problem(422, webhook.CodeInvalid)
	require.Equal(t, []string{"allow_cidrs[1]", "allow_cidrs[2]", "allow_cidrs[3]", "allow_cidrs[4]"}, p.fields())
	for n, status := range map[int]int{webhook.MaxKeyCIDRs: 201, webhook.MaxKeyCIDRs + 1: 422} {
		list := strings.TrimSuffix(strings.Repeat(`"10.0.0.0/8",`, n), ",")
		b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"],"allow_cidrs":[`+list+`]}`).want(status)
	}
}

func TestKeys_Rotate(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use)
	b.tenant("acme", "standard")
	old := b.newKey(adminKey, `["manage","read"]`, `,"expires_at":"2026-06-26T14:32:00Z","allow_cidrs":["192.0.2.0/24"]`)
	path := "/v1/tenants/acme/keys/" + old["id"].(string) + "/rotate"
	c.advance(24 * time.Hour)
	next := into[object](b.admin("POST", path, `{"overlap":"1h"}`, "Idempotency-Key", "once").want(201))
	require.Equal(t, "k", next["name"])
	require.Equal(t, old["scopes"], next["scopes"])
	require.Equal(t, old["allow_cidrs"], next["allow_cidrs"])
	require.Equal(t, "2026-06-27T14:32:00Z", next["expires_at"], "thirty days, like the old one")
	require.Equal(t, "2026-05-28T15:32:00Z", next["previous_valid_until"])
	require.NotEqual(t, old["key"], next["key"])
	require.Equal(t, next["key"], into[object](b.admin("POST", path, `{"overlap":"1h"}`, "Idempotency-Key", "once").want(201))["key"], "the first answer again")

	b.admin("POST", path, "").problem(409, webhook.CodeConflict) // not twice: its end is no longer the one that it was made with
	for _, key := range []any{old["key"], next["key"]} {
		b.showFromInside(key.(string)).want(200)
	}
	c.advance(time.Hour)
	b.showFromInside(old["key"].(string)).problem(401, webhook.CodeUnauthorized)
	b.showFromInside(next["key"].(string)).want(200)
	b.admin("POST", path, "").problem(409, webhook.CodeConflict)

	path = "/v1/tenants/acme/keys/" + next["id"].(string) + "/rotate"
	b.lenient = true
	for _, wrong := range []string{"-1s", "168h0m0.001s", "8d"} {
		p := b.admin("POST", path, `{"overlap":"`+wrong+`"}`).problem(422, webhook.CodeInvalid)
		require.Equal(t, []string{"overlap"}, p.fields())
	}
	last := into[object](b.admin("POST", path, `{"overlap":"0s","expires_at":"2026-05-30T00:00:00Z"}`).want(201))
	require.Equal(t, "2026-05-30T00:00:00Z", last["expires_at"])
	b.showFromInside(next["key"].(string)).problem(401, webhook.CodeUnauthorized)
	third := into[object](b.admin("POST", "/v1/tenants/acme/keys/"+last["id"].(string)+"/rotate", `{"overlap":"168h"}`).want(201))
	require.Equal(t, "2026-05-30T00:00:00Z", third["previous_valid_until"], "no overlap makes a key live longer")
}

// Keys outlive their maker, unless they are asked for.
func TestKeys_RevokeMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	root := b.newKey(adminKey, `["manage"]`, "")
	child := b.newKey(root["key"].(string), `["manage"]`, "")
	grandchild := b.newKey(child["key"].(string), `["manage"]`, "")
	other := b.newKey(adminKey, `["manage"]`, "")
	path := "/v1/tenants/acme/keys"
	for _, k := range []object{root, child, grandchild, other} {
		b.call(k["key"].(string), "GET", path, "").want(200)
	}
	b.admin("DELETE", path+"/"+root["id"].(string), "").want(204)
	b.call(root["key"].(string), "GET", path, "").problem(401, webhook.CodeUnauthorized)
	b.call(child["key"].(string), "GET", path, "").want(200)

	b.admin("DELETE", path+"/"+root["id"].(string)+"?made=true", "").want(204)
	for _, k := range []object{root, child, grandchild} {
		b.call(k["key"].(string), "GET", path, "").problem(401, webhook.CodeUnauthorized)
	}
	b.call(other["key"].(string), "GET", path, "").want(200)
	b.admin("DELETE", path+"/"+other["id"].(string)+"?mad=true", "").problem(422, webhook.CodeInvalid)
	b.call(other["key"].(string), "GET", path, "").want(200)
}

// A key that sends too many requests waits a second; other keys and the administrator do not.
func TestKeys_Rate(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use, func(o *api.Options) { o.KeyRate = 3 })
	b.tenant("acme", "standard")
	eager, calm := b.key("acme", webhook.ScopeRead), b.key("acme", webhook.ScopeRead)
	for left := 2; left >= 0; left-- {
		a := b.call(eager, "GET", "/v1/tenants/acme", "").want(200)
		require.Equal(t, `"key";q=3;w=1`, a.header.Get("RateLimit-Policy"))
		require.Equal(t, fmt.Sprintf(`"key";r=%d;t=1`, left), a.header.Get("RateLimit"))
	}
	a := b.call(eager, "GET", "/v1/tenants/acme", "")
	require.Contains(t, a.problem(429, webhook.CodeRateLimited).Detail, "more than 3 requests a second")
	require.Equal(t, "1", a.header.Get("Retry-After"))
	require.Equal(t, `"key";r=0;t=1`, a.header.Get("RateLimit"))
	b.call(calm, "GET", "/v1/tenants/acme", "").want(200)
	for range 10 {
		require.Empty(t, b.admin("GET", "/v1/tenants/acme", "").want(200).header.Get("RateLimit"))
	}
	c.advance(time.Second)
	for range 3 {
		b.call(eager, "GET", "/v1/tenants/acme", "").want(200)
	}
	b.call(eager, "GET", "/v1/tenants/acme", "").problem(429, webhook.CodeRateLimited)
}

func TestKeys_WithoutRate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	key := b.key("acme", webhook.ScopeRead)
	for range 100 {
		require.Empty(t, b.call(key, "GET", "/v1/tenants/acme", "").want(200).header.Get("RateLimit"))
	}
}

// A caller who does not notice that its key is gone costs one query, not one each time.
func TestKeys_UnknownOnesAreRemembered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 20 {
		for _, c := range "xy" {
			b.call("wbk_"+strings.Repeat(string(c), 43), "GET", "/v1/dialects", "").problem(401, webhook.CodeUnauthorized)
		}
	}
	require.Equal(t, 2, b.store.called("APIKeyByHash"))
}

func TestKeys_SeveralAdmins(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.AdminKeys = []api.AdminKey{{Name: "alice", Key: "alices-key-0123456789"}, {Name: "bob", Key: "bobs-key-0123456789"}}
	})
	for _, key := range []string{"alices-key-0123456789", "bobs-key-0123456789"} {
		b.call(key, "GET", "/v1/tenants", "").want(200)
	}
	b.call(adminKey, "GET", "/v1/tenants", "").problem(401, webhook.CodeUnauthorized)
	require.NotContains(t, b.log.String(), "alices-key")
}

func newRequest(path, peer string) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), "GET", path, http.NoBody)
	if err != nil {
		panic(err)
	}
	r.RequestURI, r.RemoteAddr = path, peer
	return r
}

// showFromInside reads the tenant acme from an address in 192.0.2.0/24.
func (b *testBundle) showFromInside(key string) *answer {
	b.t.Helper()
	r := newRequest("/v1/tenants/acme", "192.0.2.1:5")
	r.Header.Set("Authorization", "Bearer "+key)
	return b.send(r, "")
}
