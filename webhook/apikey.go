package webhook

import (
	"slices"
	"time"
)

// Scope is a right of an API key within its tenant.
type Scope string

// The scopes.
const (
	ScopePublish Scope = "publish" // publish events
	ScopeRead    Scope = "read"    // read endpoints, events, deliveries and attempts
	ScopeManage  Scope = "manage"  // change endpoints, deliveries and keys; see signing secrets
)

// Scopes lists every scope.
var Scopes = []Scope{ScopePublish, ScopeRead, ScopeManage}

// APIKey is a tenant's key, without its secret, which is stored only as a hash.
type APIKey struct {
	ID        KeyID      `json:"id" db:"id"`
	TenantID  string     `json:"tenant" db:"tenant_id"`
	Name      string     `json:"name" db:"name"`
	Scopes    []Scope    `json:"scopes" db:"-"`
	CreatedAt time.Time  `json:"created_at" db:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty" db:"revoked_at"`
}

// Validate returns a CodeInvalid error that lists every wrong field.
func (k *APIKey) Validate() error {
	var found problems
	if k.Name == "" || len(k.Name) > 200 {
		found.addf("name", "is 1 to 200 bytes long")
	}
	if !IsLine(k.Name) {
		found.addf("name", notLine)
	}
	if len(k.Scopes) == 0 {
		found.addf("scopes", `is required: some of "publish", "read" and "manage"`)
	}
	for i, s := range k.Scopes {
		if !slices.Contains(Scopes, s) {
			found.addf(indexed("scopes", i), `is %q; scopes are "publish", "read" and "manage"`, s)
		}
	}
	return found.err("key")
}

// Allows reports whether the key has the scope for the tenant.
func (k *APIKey) Allows(tenant string, scope Scope) bool {
	return k.TenantID == tenant && slices.Contains(k.Scopes, scope)
}
