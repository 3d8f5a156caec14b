package api_test

import (
	"cmp"
	"context"

	"waybill/store"
	"waybill/webhook"
)

// memSessions is what memStore keeps of sessions and links, by hash.
type memSessions struct {
	sessions map[string]webhook.Session
	links    map[string]webhook.Link
	opened   map[webhook.LinkID]bool
}

func newMemSessions() memSessions {
	return memSessions{sessions: map[string]webhook.Session{}, links: map[string]webhook.Link{}, opened: map[webhook.LinkID]bool{}}
}

func (m *memStore) CreateSession(_ context.Context, s *webhook.Session, hash []byte, once *store.Once) error {
	leave, err := m.enter("CreateSession")
	defer leave()
	if err = cmp.Or(err, m.repeats(once)); err != nil {
		return err
	}
	m.sessions[string(hash)] = *s
	return m.remember(once)
}

func (m *memStore) SessionByHash(_ context.Context, hash []byte) (*store.FoundSession, error) {
	leave, err := m.enter("SessionByHash")
	defer leave()
	s, ok := m.sessions[string(hash)]
	key, good := m.maker(s.TenantID, s.KeyID)
	if err == nil && (!ok || !good) {
		err = webhook.UnknownSession()
	}
	return &store.FoundSession{Session: s, Key: key}, err
}

// maker is called inside of enter.
func (m *memStore) maker(tenant string, id webhook.KeyID) (*webhook.APIKey, bool) {
	if id.IsZero() {
		return nil, true
	}
	_, key, err := m.findKey(tenant, id)
	return key, err == nil && key.RevokedAt == nil
}

func (m *memStore) EndSession(_ context.Context, s *webhook.Session) error {
	leave, err := m.enter("EndSession")
	defer leave()
	for hash, stored := range m.sessions {
		if stored.ID == s.ID {
			delete(m.sessions, hash)
		}
	}
	return err
}

func (m *memStore) CreateLink(_ context.Context, l *webhook.Link, hash []byte, once *store.Once) error {
	leave, err := m.enter("CreateLink")
	defer leave()
	if err = cmp.Or(err, m.repeats(once)); err != nil {
		return err
	}
	m.links[string(hash)] = *l
	return m.remember(once)
}

func (m *memStore) OpenLink(_ context.Context, hash []byte, open func(*store.FoundLink) (*webhook.Session, []byte, error)) error {
	leave, err := m.enter("OpenLink")
	defer leave()
	l, ok := m.links[string(hash)]
	key, good := m.maker(l.TenantID, l.KeyID)
	if err != nil || !ok || !good || m.opened[l.ID] {
		return cmp.Or(err, webhook.UnknownLink())
	}
	s, token, err := open(&store.FoundLink{Link: l, Key: key})
	if err != nil {
		return err
	}
	m.opened[l.ID], m.sessions[string(token)] = true, *s
	return nil
}

func (m *memStore) EndpointsWithin(_ context.Context, tenant string, within webhook.Confinement) ([]webhook.EndpointID, error) {
	leave, err := m.enter("EndpointsWithin")
	defer leave()
	var out []webhook.EndpointID
	for _, e := range m.endpointsOf(tenant) {
		if within.CoversFilter(e.Filter) {
			out = append(out, e.ID)
		}
	}
	return out, err
}

// within reports whether a session may see an endpoint. It is called inside of enter.
func (m *memStore) within(within webhook.Confinement, id webhook.EndpointID) bool {
	e, ok := m.endpoints[id]
	return within == nil || ok && within.CoversFilter(e.Filter)
}

// portal opens a session of a portal link with the request that makes it, and returns its token.
func (b *testBundle) portal(tenant, request string) string {
	b.t.Helper()
	link := into[struct{ URL string }](b.admin("POST", "/v1/tenants/"+tenant+"/portal-links", request).want(201))
	return b.open(link.URL)
}

// open opens a link by its URL and returns the token of the session.
func (b *testBundle) open(url string) string {
	b.t.Helper()
	return into[struct{ Token string }](b.call("", "POST", "/v1/portal-sessions", `{"token":"`+linkToken(url)+`"}`).want(201)).Token
}
