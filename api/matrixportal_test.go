package api_test

import (
	"cmp"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// Every route that needs a credential has a decision about portal sessions, which is the one of routes.go.
func TestMatrix_DecidesOnPortals(t *testing.T) {
	t.Parallel()
	for _, rt := range setup(t).server.Routes() {
		route := rt.Method + " " + rt.Path
		if rt.Access == "public" {
			require.Empty(t, matrix[route].portal, route)
			continue
		}
		want := no
		if rt.Portal {
			want = yes
		}
		require.Equal(t, want, matrix[route].portal, "%s: portal says whether a portal session may use it", route)
	}
}

const fullPortal = `{"scopes":["read","manage"]`

// A portal session may use what the matrix says, with its scopes: 403 for the rest, and 404 for what is another tenant's.
func TestMatrix_Portals(t *testing.T) {
	t.Parallel()
	for route, row := range matrix {
		if row.portal == "" {
			continue
		}
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(route, " ")
			m := matrixWorld(t, method, path, row)
			tenant := m.values["tenant"]
			if row.portal == no {
				m.ask(m.portal(tenant, fullPortal+`}`), nil).problem(http.StatusForbidden, webhook.CodeForbidden)
			} else {
				m.servesPortals()
			}
			if !strings.Contains(path, "{tenant}") || row.needs == "admin" {
				return
			}
			stranger := m.portal("other", fullPortal+`}`)
			foreign := m.ask(stranger, nil)
			foreign.problem(http.StatusNotFound, webhook.CodeNotFound)
			m.alike(m.ask(stranger, map[string]string{"tenant": "void"}), foreign)
		})
	}
}

func (m *matrixCase) servesPortals() {
	served := cmp.Or(m.row.session, m.row.status)
	tenant := m.values["tenant"]
	reader := m.ask(m.portal(tenant, `{}`), nil)
	if m.row.needs == "manage" {
		reader.problem(http.StatusForbidden, webhook.CodeForbidden)
	} else {
		reader.want(served)
	}
	fresh := matrixWorld(m.t, m.method, m.path, m.row)
	fresh.ask(fresh.portal(tenant, fullPortal+`}`), nil).want(served)
}

// belongTo makes everything in the world one auction's.
func (m *matrixCase) belongTo(auction string) {
	for id, e := range m.store.endpoints {
		e.Filter = map[string][]string{"auction_id": {auction}}
		m.store.endpoints[id] = e
	}
	for _, p := range m.store.events {
		p.Event.Attributes = map[string]string{"auction_id": auction}
	}
	if m.row.confined != "" {
		m.row.body = m.row.confined
	}
}

// A session with a filter is served what has it, and what has not does not exist for it: neither in a path nor in a body nor in a list.
func TestMatrix_ConfinedPortals(t *testing.T) {
	t.Parallel()
	for route, row := range matrix {
		if row.portal != yes {
			continue
		}
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(route, " ")
			m := matrixWorld(t, method, path, row)
			m.belongTo("a")
			stranger := m.portal(m.values["tenant"], fullPortal+`,"filter":{"auction_id":["b"]}}`)
			answer := m.ask(stranger, nil)
			switch {
			case row.confined != "":
				require.Equal(t, []string{"filter.auction_id"}, answer.problem(422, webhook.CodeInvalid).fields())
			case namesThing(path + row.body):
				answer.problem(http.StatusNotFound, webhook.CodeNotFound)
				missing := maps.Clone(nobodys)
				delete(missing, "type")
				m.alike(m.ask(stranger, missing), answer)
			default:
				answer.want(cmp.Or(row.session, row.status))
				require.NotContains(t, string(answer.body), m.values["endpoint"])
				require.NotContains(t, string(answer.body), `"id":"e1"`)
			}
			mine := matrixWorld(t, method, path, row)
			mine.belongTo("a")
			mine.ask(mine.portal(mine.values["tenant"], fullPortal+`,"filter":{"auction_id":["b","a"]}}`), nil).want(cmp.Or(row.session, row.status))
		})
	}
}

// namesThing reports whether a request names what a session may not see.
func namesThing(request string) bool {
	for _, name := range []string{"{endpoint}", "{delivery}", "{event}", "{recovery}"} {
		if strings.Contains(request, name) {
			return true
		}
	}
	return false
}
