package api_test

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// Every route has a row, and every row a route that needs what the row says.
func TestMatrix_NamesEveryRoute(t *testing.T) {
	t.Parallel()
	routes := map[string]string{}
	for _, rt := range setup(t).server.Routes() {
		routes[rt.Method+" "+rt.Path] = rt.Access
	}
	rows := map[string]string{}
	for route, row := range matrix {
		rows[route] = row.needs
	}
	require.Equal(t, rows, routes, "a route needs a row in matrix, which says who may use it")
}

// Every credential gets what the matrix says: 401 for none or a bad one, 403 without the right, and 404 in the same words for what
// is another tenant's and what is not there.
func TestMatrix(t *testing.T) {
	t.Parallel()
	for route, row := range matrix {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(route, " ")
			m := matrixWorld(t, method, path, row)
			m.refusesBadKeys()
			m.refusesWithoutRight()
			m.hidesOtherTenants()
			m.hidesOtherTenantsThings()
			m.servesWhoMay()
		})
	}
}

// A parameter that a call does not know is refused by every call that changes something, and nothing is changed: it may be one that
// is misspelled, or a condition.
func TestMatrix_RefusesUnknownParameters(t *testing.T) {
	t.Parallel()
	for route, row := range matrix {
		method, path, _ := strings.Cut(route, " ")
		if method == http.MethodGet {
			continue
		}
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			m := matrixWorld(t, method, path, row)
			asked := m.row.query
			m.row.query = asked + map[bool]string{true: "?", false: "&"}[asked == ""] + "dry_run=true"
			p := m.ask(adminKey, nil).problem(http.StatusUnprocessableEntity, webhook.CodeInvalid)
			require.Equal(t, "dry_run", p.Errors[0].Field)
			m.row.query = asked
			require.Equal(t, row.status, m.ask(adminKey, nil).status, "the refused call has changed nothing")
		})
	}
}

// matrixCase is one row, in a world with the tenant acme, which has one of everything, and the tenant other, which has nothing.
type matrixCase struct {
	*testBundle
	method, path string
	row          matrixRow
	values       map[string]string
}

func matrixWorld(t *testing.T, method, path string, row matrixRow) *matrixCase {
	t.Helper()
	b := setup(t)
	values := b.world()
	b.tenant("other", "standard")
	b.inQuarantine()
	values["position"] = "7"
	b.store.began("gone", time.Now())
	values["erasure"] = "gone"
	values["dispatch"] = b.setAside(1)[0].String()
	if row.dialect != "" {
		b.tenant("pool", row.dialect)
		values["tenant"] = "pool"
		if strings.Contains(path, "{endpoint}") {
			values["endpoint"] = b.endpoint("pool")
		}
	}
	return &matrixCase{testBundle: b, method: method, path: path, row: row, values: values}
}

// ask sends the row's request with a key, with other values for some variables of the path.
func (m *matrixCase) ask(key string, changed map[string]string) *answer {
	m.t.Helper()
	values := maps.Clone(m.values)
	maps.Copy(values, changed)
	return m.call(key, m.method, fill(m.path+m.row.query, values), fill(m.row.body, values))
}

func (m *matrixCase) refusesBadKeys() {
	if m.row.needs == "public" {
		return
	}
	detail := ""
	for _, key := range m.badKeys() {
		a := m.ask(key, nil)
		p := a.problem(http.StatusUnauthorized, webhook.CodeUnauthorized)
		require.Contains(m.t, a.header.Get("WWW-Authenticate"), "Bearer")
		if key != "" {
			require.Equal(m.t, detail, orElse(detail, p.Detail), "no telling why a key is refused")
			detail = p.Detail
		}
		if strings.Contains(m.path, "{tenant}") {
			m.alike(m.ask(key, map[string]string{"tenant": "void"}), a)
		}
	}
}

func orElse(text, other string) string {
	if text == "" {
		return text
	}
	return other
}

// badKeys are texts that are no valid key; "" is none at all.
func (m *matrixCase) badKeys() []string {
	revoked := m.key(m.values["tenant"], webhook.Scopes...)
	hash := sha256.Sum256([]byte(revoked))
	key := m.store.keys[string(hash[:])]
	require.NoError(m.t, m.store.RevokeAPIKey(m.t.Context(), key.TenantID, key.ID, time.Now()))
	expired := m.key(m.values["tenant"], webhook.Scopes...)
	hash = sha256.Sum256([]byte(expired))
	key, end := m.store.keys[string(hash[:])], time.Unix(0, 0)
	key.ExpiresAt = &end
	m.store.keys[string(hash[:])] = key
	return []string{"", "short", "wbk_" + strings.Repeat("x", 43), adminKey + "x", adminKey[:len(adminKey)-1], revoked, expired}
}

// refusesWithoutRight sends the request with keys of the tenant that lack the right: all scopes but the one needed.
func (m *matrixCase) refusesWithoutRight() {
	var lacking []webhook.Scope
	for _, scope := range webhook.Scopes {
		if string(scope) != m.row.needs {
			lacking = append(lacking, scope)
		}
	}
	switch m.row.needs {
	case "public", "any":
	case "admin":
		m.ask(m.key(m.values["tenant"], webhook.Scopes...), nil).problem(http.StatusForbidden, webhook.CodeForbidden)
	default:
		m.ask(m.key(m.values["tenant"], lacking...), nil).problem(http.StatusForbidden, webhook.CodeForbidden)
		for _, scope := range lacking {
			m.ask(m.key(m.values["tenant"], scope), nil).problem(http.StatusForbidden, webhook.CodeForbidden)
		}
	}
}

// hidesOtherTenants names another tenant, which answers like one that does not exist, to the holder of any scope.
func (m *matrixCase) hidesOtherTenants() {
	if !strings.Contains(m.path, "{tenant}") {
		return
	}
	if m.row.needs == "public" {
		m.alike(m.ask("", map[string]string{"tenant": "void"}), m.ask("", nil)) // it does not tell which tenants there are
		return
	}
	for _, scopes := range [][]webhook.Scope{webhook.Scopes, {webhook.ScopePublish}, {webhook.ScopeRead}, {webhook.ScopeManage}} {
		stranger := m.key("other", scopes...)
		foreign, ghost := m.ask(stranger, nil), m.ask(stranger, map[string]string{"tenant": "void"})
		if m.row.needs == "admin" { // no tenant's key comes so far that it could tell which tenants there are
			foreign.problem(http.StatusForbidden, webhook.CodeForbidden)
		} else {
			foreign.problem(http.StatusNotFound, webhook.CodeNotFound)
		}
		m.alike(ghost, foreign)
	}
	m.ask(adminKey, map[string]string{"tenant": "void"}).problem(http.StatusNotFound, webhook.CodeNotFound)
}

// nobodys are ids of the right form that nothing has.
var nobodys = map[string]string{
	"endpoint": "ep_0197000000007000800000ffffffffff", "delivery": "dlv_0197000000007000800000ffffffffff", "attempt": "att_0197000000007000800000ffffffffff",
	"key": "key_0197000000007000800000ffffffffff", "recovery": "rec_0197000000007000800000ffffffffff", "event": "e9", "type": "parcel.mover",
}

// hidesOtherTenantsThings names another tenant's things below the caller's own tenant; they answer like things that do not exist.
func (m *matrixCase) hidesOtherTenantsThings() {
	named := strings.Count(m.path, "{") > 1 || strings.Contains(m.row.body, "{endpoint}")
	if !named || !strings.Contains(m.path, "{tenant}") || m.row.makes {
		return
	}
	stranger := m.key("other", webhook.Scopes...)
	missing := maps.Clone(nobodys)
	missing["tenant"] = "other"
	foreign, ghost := m.ask(stranger, map[string]string{"tenant": "other"}), m.ask(stranger, missing)
	foreign.problem(http.StatusNotFound, webhook.CodeNotFound)
	m.alike(ghost, foreign)
}

// servesWhoMay sends the request with every credential that suffices, each in a world of its own, because one call can use up what
// the next would need.
func (m *matrixCase) servesWhoMay() {
	credentials := map[string]func(*matrixCase) string{"admin": func(*matrixCase) string { return adminKey }}
	switch m.row.needs {
	case "admin":
	case "public":
		credentials["nobody"] = func(*matrixCase) string { return "" }
	case "any":
		for _, scope := range webhook.Scopes {
			credentials[string(scope)] = func(m *matrixCase) string { return m.key("other", scope) }
		}
	default:
		scopes := []webhook.Scope{webhook.Scope(m.row.needs)}
		if m.row.with != "" {
			scopes = append(scopes, m.row.with)
		}
		credentials[m.row.needs] = func(m *matrixCase) string { return m.key(m.values["tenant"], scopes...) }
	}
	for name, key := range credentials {
		fresh := matrixWorld(m.t, m.method, m.path, m.row)
		require.Equal(m.t, m.row.status, fresh.ask(key(fresh), nil).status, "with the credential %q", name)
	}
}

// alike requires that two refusals differ in nothing but the names that the caller sent and the request's id.
func (m *matrixCase) alike(a, b *answer) {
	m.t.Helper()
	require.Equal(m.t, m.plain(a), m.plain(b))
	for _, h := range []http.Header{a.header, b.header} {
		h.Del("X-Request-Id")
	}
	require.Equal(m.t, a.header, b.header)
}

func (m *matrixCase) plain(a *answer) string {
	text := string(a.body)
	if id := a.header.Get("X-Request-Id"); id != "" {
		text = strings.ReplaceAll(text, id, "*")
	}
	names := append(slices.Collect(maps.Values(m.values)), slices.Collect(maps.Values(nobodys))...)
	for _, name := range append(names, "void", "other") {
		text = strings.ReplaceAll(text, `\"`+name+`\"`, "*")
	}
	return text
}
