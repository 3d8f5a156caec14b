package api_test

import (
	"net/http/httptest"
	"net/netip"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// linkToken is the last part of a link's URL.
func linkToken(url string) string { return path.Base(url) }

type session struct {
	ID, Actor, Kind, Tenant string
	Scopes                  []webhook.Scope
	Filter                  map[string][]string
	Token                   string
	ExpiresAt               time.Time `json:"expires_at"`
}

func (b *testBundle) whoAmI(credential string) session {
	b.t.Helper()
	return into[session](b.call(credential, "GET", "/v1/session", "").want(200))
}

// A session has the rights of the key that made it, acts as that key, and says so.
func TestSessions_OfKeys(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, func(o *api.Options) {
		o.Now, o.AdminKeys = c.now, []api.AdminKey{{Key: adminKey}, {Name: "alice", Key: "alices-key-0123456789"}}
	})
	b.tenant("acme", "standard")
	reader := b.key("acme", webhook.ScopeRead)
	for key, want := range map[string]session{
		adminKey:                {Actor: "admin", Kind: "admin", Scopes: webhook.Scopes},
		"alices-key-0123456789": {Actor: "admin:alice", Kind: "admin", Scopes: webhook.Scopes},
		reader:                  {Actor: b.whoAmI(reader).Actor, Kind: "key", Tenant: "acme", Scopes: []webhook.Scope{webhook.ScopeRead}},
	} {
		require.Equal(t, want, b.whoAmI(key), "of the key itself")
		made := into[session](b.call(key, "POST", "/v1/sessions", "").want(201))
		require.Regexp(t, `^wbs_[A-Za-z0-9_-]{43}$`, made.Token)
		require.Equal(t, c.now().Add(12*time.Hour), made.ExpiresAt)
		want.ID, want.ExpiresAt = made.ID, made.ExpiresAt
		require.Equal(t, want, b.whoAmI(made.Token))

		b.call(made.Token, "GET", "/v1/tenants/acme", "").want(200)
		manages := map[string]int{"admin": 201, "key": 403}[want.Kind]
		b.call(made.Token, "POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read"]}`).want(manages)
		b.call(made.Token, "POST", "/v1/sessions", "").problem(403, webhook.CodeForbidden)
		b.call(made.Token, "POST", "/v1/sign-in-links", "").problem(403, webhook.CodeForbidden)
		b.call(key, "DELETE", "/v1/session", "").problem(409, webhook.CodeConflict)

		b.call(made.Token, "DELETE", "/v1/session", "").want(204)
		b.call(made.Token, "GET", "/v1/session", "").problem(401, webhook.CodeUnauthorized)
	}
	made := into[session](b.call(reader, "POST", "/v1/sessions", `{"expires_in":"5m"}`).want(201))
	c.advance(5*time.Minute - time.Microsecond)
	b.call(made.Token, "GET", "/v1/session", "").want(200)
	c.advance(time.Microsecond)
	b.call(made.Token, "GET", "/v1/session", "").problem(401, webhook.CodeUnauthorized)
	for _, span := range []string{"4m59s", "24h0m1s", "-1h"} {
		require.Equal(t, []string{"expires_in"}, b.call(reader, "POST", "/v1/sessions", `{"expires_in":"`+span+`"}`).problem(422, webhook.CodeInvalid).fields())
	}
}

// A session ends with its key: when that is revoked, between two requests, and when it expires, which the answer says at once.
func TestSessions_EndWithTheirKey(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use)
	b.tenant("acme", "standard")
	key := into[object](b.admin("POST", "/v1/tenants/acme/keys",
		`{"name":"k","scopes":["read","manage"],"expires_at":"2026-05-27T15:32:00Z"}`).want(201))
	text := key["key"].(string)
	own := into[session](b.call(text, "POST", "/v1/sessions", "").want(201))
	link := func() string {
		return into[struct{ URL string }](b.call(text, "POST", "/v1/tenants/acme/portal-links", `{"expires_in":"24h"}`).want(201)).URL
	}
	opened, unopened := b.open(link()), link()
	end := c.now().Add(time.Hour)
	require.Equal(t, end, own.ExpiresAt)
	require.Equal(t, end, b.whoAmI(opened).ExpiresAt)

	c.advance(time.Hour)
	for _, token := range []string{own.Token, opened} {
		b.call(token, "GET", "/v1/session", "").problem(401, webhook.CodeUnauthorized)
	}
	b.call("", "POST", "/v1/portal-sessions", `{"token":"`+linkToken(unopened)+`"}`).problem(401, webhook.CodeUnauthorized)

	c.advance(-time.Minute)
	for _, token := range []string{own.Token, opened} {
		b.call(token, "GET", "/v1/session", "").want(200)
	}
	b.admin("DELETE", "/v1/tenants/acme/keys/"+key["id"].(string), "").want(204)
	for _, token := range []string{own.Token, opened} {
		b.call(token, "GET", "/v1/session", "").problem(401, webhook.CodeUnauthorized)
	}
	b.call("", "POST", "/v1/portal-sessions", `{"token":"`+linkToken(unopened)+`"}`).problem(401, webhook.CodeUnauthorized)
}

// A session of an administrator ends where the key that made it is no longer configured, and so does what its links opened.
func TestSessions_EndWithTheAdminKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	own := into[session](b.admin("POST", "/v1/sessions", "").want(201)).Token
	signIn := into[struct{ URL string }](b.admin("POST", "/v1/sign-in-links", "").want(201)).URL
	left := into[struct{ URL string }](b.admin("POST", "/v1/sign-in-links", "").want(201)).URL
	signedIn, portal := b.open(signIn), b.portal("acme", "")
	require.Equal(t, "admin", b.whoAmI(signedIn).Kind)
	b.call(signedIn, "GET", "/v1/tenants", "").want(200)

	other := setup(t, func(o *api.Options) { o.Store, o.AdminKeys = b.store, []api.AdminKey{{Key: "another-key-0123456789"}} })
	for _, token := range []string{own, signedIn, portal} {
		b.call(token, "GET", "/v1/session", "").want(200)
		other.call(token, "GET", "/v1/session", "").problem(401, webhook.CodeUnauthorized)
	}
	other.call("", "POST", "/v1/portal-sessions", `{"token":"`+linkToken(left)+`"}`).problem(401, webhook.CodeUnauthorized)
	b.open(left) // the refusal has not used it up
}

// A link opens once, and every link that does not is refused in the same words.
func TestPortalLinks_OpenOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	b := setup(t, c.use)
	b.tenant("acme", "standard")
	made := into[struct {
		ID, URL   string
		ExpiresAt time.Time `json:"expires_at"`
	}](b.admin("POST", "/v1/tenants/acme/portal-links", "").want(201))
	require.Regexp(t, `^pln_[0-9a-f]{32}$`, made.ID)
	require.Regexp(t, `^http://example\.com/portal/wbl_[A-Za-z0-9_-]{43}$`, made.URL)
	require.Equal(t, c.now().Add(time.Hour), made.ExpiresAt)
	late := into[struct{ URL string }](b.admin("POST", "/v1/tenants/acme/portal-links", `{"expires_in":"1m"}`).want(201)).URL

	open := func(token string) *answer { return b.call("", "POST", "/v1/portal-sessions", `{"token":"`+token+`"}`) }
	opened := into[session](open(linkToken(made.URL)).want(201))
	require.Equal(t, session{Token: opened.Token, Tenant: "acme", ExpiresAt: made.ExpiresAt}, opened)
	who := b.whoAmI(opened.Token)
	require.Equal(t, session{ID: who.ID, Actor: made.ID, Kind: "portal", Tenant: "acme", Scopes: []webhook.Scope{"read"}, ExpiresAt: made.ExpiresAt}, who)

	c.advance(time.Minute)
	details := map[string]bool{}
	for _, token := range []string{linkToken(made.URL), linkToken(late), "wbl_" + strings.Repeat("x", 43), "", opened.Token, adminKey} {
		details[open(token).problem(401, webhook.CodeUnauthorized).Detail] = true
	}
	require.Len(t, details, 1)
	b.call(opened.Token, "GET", "/v1/tenants/acme/endpoints", "").want(200)
	c.advance(59 * time.Minute)
	b.call(opened.Token, "GET", "/v1/tenants/acme/endpoints", "").problem(401, webhook.CodeUnauthorized)
}

func TestPortalLinks_Refused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	for body, field := range map[string]string{
		`{"scopes":[]}`: "scopes", `{"scopes":["manage"]}`: "scopes", `{"scopes":["read","publish"]}`: "scopes", `{"scopes":["read","read"]}`: "scopes",
		`{"expires_in":"59s"}`: "expires_in", `{"expires_in":"25h"}`: "expires_in",
	} {
		require.Equal(t, []string{field}, b.admin("POST", "/v1/tenants/acme/portal-links", body).problem(422, webhook.CodeInvalid).fields(), body)
	}
	// Nobody passes on what he does not have.
	manager := b.key("acme", webhook.ScopeManage)
	b.call(manager, "POST", "/v1/tenants/acme/portal-links", "").problem(403, webhook.CodeForbidden)
	b.call(b.portal("acme", `{"scopes":["read","manage"]}`), "POST", "/v1/tenants/acme/portal-links", "").problem(403, webhook.CodeForbidden)
}

// Links begin with the public URL, or with where the request was sent to, of which a trusted proxy knows the scheme.
func TestPortalLinks_URL(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	b.tenant("acme", "standard")
	url := func(b *testBundle, from, proto string) string {
		r := httptest.NewRequest("POST", "/v1/tenants/acme/portal-links", nil)
		r.Host, r.RemoteAddr = "hooks.example:8080", from
		r.Header.Set("Authorization", "Bearer "+adminKey)
		r.Header.Set("X-Forwarded-Proto", proto)
		made := into[struct{ URL string }](b.send(r, "").want(201)).URL
		return strings.TrimSuffix(made, linkToken(made))
	}
	require.Equal(t, "https://hooks.example:8080/portal/", url(b, "192.0.2.1:1", "https"))
	require.Equal(t, "http://hooks.example:8080/portal/", url(b, "198.51.100.1:1", "https"), "anybody may write the header")
	named := setup(t, func(o *api.Options) { o.PublicURL = "https://waybill.example/w" })
	named.tenant("acme", "standard")
	require.Equal(t, "https://waybill.example/w/portal/", url(named, "192.0.2.1:1", ""))
}

// Where a key may be used from holds for its sessions, and not for those of its links, which are made for others. Requests are counted
// for each session alone.
func TestSessions_NetworksAndRate(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.KeyRate = 5 })
	b.tenant("acme", "standard")
	key := into[object](b.admin("POST", "/v1/tenants/acme/keys", `{"name":"k","scopes":["read","manage"],"allow_cidrs":["192.0.2.0/24"]}`).want(201))["key"].(string)
	own := into[session](b.call(key, "POST", "/v1/sessions", "").want(201)).Token
	portal := b.open(into[struct{ URL string }](b.call(key, "POST", "/v1/tenants/acme/portal-links", "").want(201)).URL)
	from := func(token, address string) *answer {
		r := httptest.NewRequest("GET", "/v1/session", nil)
		r.RemoteAddr = address
		r.Header.Set("Authorization", "Bearer "+token)
		return b.send(r, "")
	}
	from(own, "198.51.100.1:1").problem(403, webhook.CodeForbidden)
	from(portal, "198.51.100.1:1").want(200)
	for range 4 {
		from(portal, "198.51.100.1:1").want(200)
	}
	from(portal, "198.51.100.1:1").problem(429, webhook.CodeRateLimited)
	from(own, "192.0.2.1:1").want(200)
	from(key, "192.0.2.1:1").want(200)
}

// Two customers of a tenant, and two tenants, may choose the same Idempotency-Key: each gets his own.
func TestSessions_IdempotencyKeysAreTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const header = "Idempotency-Key"
	b.tenant("acme", "standard")
	b.tenant("other", "standard")
	first, again := b.call(b.key("acme", "read"), "POST", "/v1/sessions", "", header, "1").want(201), b.key("other", "read")
	require.NotEqual(t, string(first.body), string(b.call(again, "POST", "/v1/sessions", "", header, "1").want(201).body))
	require.Equal(t, "true", b.call(again, "POST", "/v1/sessions", "", header, "1").want(201).header.Get("Idempotent-Replayed"))

	const endpoint = `{"url":"https://r.example/h","event_types":["*"]}`
	ids := map[any]bool{}
	for range 2 {
		token := b.portal("acme", `{"scopes":["read","manage"]}`)
		made := b.call(token, "POST", "/v1/tenants/acme/endpoints", endpoint, header, "mine").want(201)
		require.Equal(t, string(made.body), string(b.call(token, "POST", "/v1/tenants/acme/endpoints", endpoint, header, "mine").want(201).body))
		ids[into[object](made)["id"]] = true
	}
	require.Len(t, ids, 2)
}
