package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/maypok86/otter/v2"

	"waybill/webhook"
)

// keyHash is the SHA-256 of an API key. Only the hash is stored, compared and cached.
type keyHash [sha256.Size]byte

func hashKey(key string) keyHash { return sha256.Sum256([]byte(key)) }

// keyPattern is the form of a tenant's key; anything else is refused without a query of the database.
var keyPattern = regexp.MustCompile(`^wbk_[A-Za-z0-9_-]{43}$`)

// caller is who sent a request: the admin, the holder of a tenant's key, or of a session. The zero value is an anonymous caller.
type caller struct {
	admin bool
	// adminName is "" for an admin key without a name.
	adminName string
	key       *webhook.APIKey
	// session is nil for a key. A portal session is neither the admin nor has it a key; another has the rights of the key that made it.
	session *webhook.Session
}

// portal returns the caller's session if it is a portal's; nil otherwise.
func (c caller) portal() *webhook.Session {
	if c.session != nil && c.session.OfPortal() {
		return c.session
	}
	return nil
}

// tenantID is the tenant that the caller is bound to; "": none.
func (c caller) tenantID() string {
	switch {
	case c.key != nil:
		return c.key.TenantID
	case c.portal() != nil:
		return c.session.TenantID
	default:
		return ""
	}
}

// counted reports whether a request takes room among those in flight also where it has no body: each does but the administrator's, who must
// see what is going on, and those that anybody may send.
func (c caller) counted() bool { return c.tenantID() != "" }

// scopes are what the caller may do; for the admin, all.
func (c caller) scopes() []webhook.Scope {
	switch {
	case c.admin:
		return webhook.Scopes
	case c.key != nil:
		return c.key.Scopes
	case c.portal() != nil:
		return c.session.Scopes
	default:
		return nil
	}
}

// allows reports whether the caller has a scope for a tenant.
func (c caller) allows(tenant string, scope webhook.Scope) bool {
	return c.admin || c.tenantID() == tenant && slices.Contains(c.scopes(), scope)
}

// name identifies the caller, as in webhook.AuditEntry.Actor.
func (c caller) name() string {
	switch {
	case c.admin && c.adminName != "":
		return "admin:" + c.adminName
	case c.admin:
		return "admin"
	case c.key != nil:
		return c.key.ID.String()
	case c.portal() != nil:
		return c.session.LinkID.String()
	default:
		return "nobody"
	}
}

// call is the context of a request for its handler. Tenant and dialect are set on routes below {tenant}.
type call struct {
	caller
	tenant  *webhook.Tenant
	dialect *webhook.Dialect
}

// manages reports whether the caller may see what requires the scope manage.
func (c *call) manages() bool {
	return c.admin || c.tenant != nil && c.allows(c.tenant.ID, webhook.ScopeManage)
}

// admit authenticates and authorizes the caller and finds the tenant of the path.
func (s *Server) admit(r *http.Request, needed access) (*call, error) {
	if needed == public {
		return &call{}, nil
	}
	who, err := s.authenticate(r)
	if err != nil {
		return nil, err
	}
	id, ofTenant := mux.Vars(r)["tenant"]
	if err := who.authorize(needed, id); err != nil {
		return nil, err
	}
	infoOf(r).inflight.owner = who.tenantID()
	if !ofTenant {
		return &call{caller: who}, nil
	}
	t, d, err := s.findTenant(r.Context(), id)
	if err != nil {
		return nil, err
	}
	infoOf(r).inflight.owner = t.ID
	c := &call{caller: who, tenant: t, dialect: d}
	return c, s.confine(r, c)
}

func (s *Server) authenticate(r *http.Request) (caller, error) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); !strings.EqualFold(scheme, "Bearer") || key == "" {
		return caller{}, webhook.Errorf(webhook.CodeUnauthorized, "send an API key: Authorization: Bearer <key>")
	}
	hash := hashKey(key)
	for i := range s.admins {
		if subtle.ConstantTimeCompare(hash[:], s.admins[i].hash[:]) == 1 {
			return caller{admin: true, adminName: s.admins[i].name}, nil
		}
	}
	if sessionPattern.MatchString(key) {
		return s.authenticateSession(r, hash, key)
	}
	if !keyPattern.MatchString(key) {
		return caller{}, webhook.UnknownKey()
	}
	found, err := s.findKey(r.Context(), hash)
	if err != nil {
		return caller{}, err
	}
	now := s.now()
	if err := s.admitKey(r, found, now); err != nil {
		return caller{}, err
	}
	return caller{key: found}, s.uses.enter(infoOf(r), useOf{key: found.ID}, now)
}

// findKey returns a key that is not revoked, at most keyStaleness old. Unknown keys are remembered, because a caller who has not
// noticed that its key is gone must not cost a query each time.
func (s *Server) findKey(ctx context.Context, hash keyHash) (*webhook.APIKey, error) {
	if _, unknown := s.unknown.GetIfPresent(hash); unknown {
		return nil, webhook.UnknownKey()
	}
	found, err := s.keys.Get(ctx, hash, otter.LoaderFunc[keyHash, *webhook.APIKey](
		func(ctx context.Context, hash keyHash) (*webhook.APIKey, error) {
			return s.store.APIKeyByHash(ctx, hash[:])
		}))
	if webhook.ErrorCode(err) == webhook.CodeUnauthorized {
		s.unknown.Set(hash, struct{}{})
		return nil, webhook.UnknownKey()
	}
	if err != nil {
		return nil, fmt.Errorf("look up an API key: %w", err)
	}
	return found, nil
}

// admitKey checks what may change between two requests with a key: the time and the caller's address.
func (s *Server) admitKey(r *http.Request, key *webhook.APIKey, now time.Time) error {
	if key.ExpiredAt(now) {
		return webhook.UnknownKey()
	}
	if len(key.AllowCIDRs) > 0 {
		from := s.ClientAddress(r)
		if !from.IsValid() {
			return webhook.Errorf(webhook.CodeForbidden, "the API key may not be used from the address of this request, which is not known: "+
				"the X-Forwarded-For of the proxy in front of Waybill has none")
		}
		if !key.AllowsAddress(from) {
			return webhook.Errorf(webhook.CodeForbidden, "the API key may not be used from the address %s", from)
		}
	}
	return nil
}

// authorize checks the caller against a route and the tenant in its path, "" for none. For a key or a session of another tenant the
// tenant does not exist, whatever the scope.
func (c caller) authorize(route access, tenant string) error {
	needed := route.ofKeys()
	switch {
	case c.admin:
		return nil
	case needed == adminOnly:
		return webhook.Errorf(webhook.CodeForbidden, "this needs the admin key")
	case needed != anyKey && c.tenantID() != tenant:
		return noTenant(tenant)
	case c.portal() != nil && !route.forPortals():
		return webhook.Errorf(webhook.CodeForbidden, "this needs an API key; a portal session may not do it")
	case needed != anyKey && !c.allows(tenant, webhook.Scope(needed)):
		return webhook.Errorf(webhook.CodeForbidden, "this needs a key with the scope %q", string(needed))
	default:
		return nil
	}
}

func noTenant(id string) error {
	return webhook.Errorf(webhook.CodeNotFound, "there is no tenant %q", id)
}

// findTenant returns a tenant, at most tenantStaleness old, and its dialect.
func (s *Server) findTenant(ctx context.Context, id string) (*webhook.Tenant, *webhook.Dialect, error) {
	if !isText(id) {
		return nil, nil, noTenant(id)
	}
	t, err := s.tenants.Get(ctx, id, otter.LoaderFunc[string, *webhook.Tenant](s.store.Tenant))
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return nil, nil, noTenant(id)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up the tenant %q: %w", id, err)
	}
	d, ok := s.dialects[t.Dialect]
	if !ok {
		return nil, nil, fmt.Errorf("the tenant %q has the dialect %q, which is not loaded", id, t.Dialect)
	}
	return t, d, nil
}
