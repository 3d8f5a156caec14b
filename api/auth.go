package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/gorilla/mux"
	"github.com/maypok86/otter/v2"

	"waybill/webhook"
)

// keyHash is the SHA-256 of an API key. Only the hash is stored, compared and cached.
type keyHash [sha256.Size]byte

func hashKey(key string) keyHash { return sha256.Sum256([]byte(key)) }

// keyPattern is the form of a tenant's key; anything else is refused without a query of the database.
var keyPattern = regexp.MustCompile(`^wbk_[A-Za-z0-9_-]{43}$`)

// caller is who sent a request: the admin or the holder of a tenant's key. The zero value is an anonymous caller.
type caller struct {
	admin bool
	// adminName is "" for an admin key without a name.
	adminName string
	key       *webhook.APIKey
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
	return c.admin || c.key != nil && c.tenant != nil && c.key.Allows(c.tenant.ID, webhook.ScopeManage)
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
	if !ofTenant {
		return &call{caller: who}, nil
	}
	t, d, err := s.findTenant(r.Context(), id)
	if err != nil {
		return nil, err
	}
	infoOf(r).body.owner = t.ID
	return &call{caller: who, tenant: t, dialect: d}, nil
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
	if !keyPattern.MatchString(key) {
		return caller{}, webhook.UnknownKey()
	}
	found, err := s.findKey(r.Context(), hash)
	if err != nil {
		return caller{}, err
	}
	if err := s.admitKey(r, found); err != nil {
		return caller{}, err
	}
	return caller{key: found}, nil
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

// admitKey checks what may change between two requests with a key: the time, the caller's address, and how many there were.
func (s *Server) admitKey(r *http.Request, key *webhook.APIKey) error {
	now := s.now()
	if key.ExpiredAt(now) {
		return webhook.UnknownKey()
	}
	if len(key.AllowCIDRs) > 0 {
		if from := s.ClientAddress(r); !key.AllowsAddress(from) {
			return webhook.Errorf(webhook.CodeForbidden, "the API key may not be used from the address %s", from)
		}
	}
	return s.uses.enter(infoOf(r), key.ID, now)
}

// authorize checks the caller against a route and the tenant in its path, "" for none. For a key of another tenant the
// tenant does not exist, whatever the scope.
func (c caller) authorize(needed access, tenant string) error {
	switch {
	case c.admin || needed == anyKey:
		return nil
	case needed == adminOnly:
		return webhook.Errorf(webhook.CodeForbidden, "this needs the admin key")
	case c.key.TenantID != tenant:
		return noTenant(tenant)
	case !c.key.Allows(tenant, webhook.Scope(needed)):
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
