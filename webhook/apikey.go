package webhook

import (
	"net/netip"
	"slices"
	"time"
)

// Limits of API keys.
const (
	// MaxKeyCIDRs is how many networks a key may be bound to.
	MaxKeyCIDRs = 50
	// DefaultMaxKeys is how many live keys a tenant may have unless the administrator says otherwise; MaxKeys is the most that he may say.
	DefaultMaxKeys = 100
	MaxKeys        = 10_000
	// DefaultKeyOverlap and MaxKeyOverlap say how long a key that was rotated stays valid beside the new one.
	DefaultKeyOverlap = 24 * time.Hour
	MaxKeyOverlap     = 7 * 24 * time.Hour
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
	// ExpiresAt is when it stops working; nil: never.
	ExpiresAt *time.Time `json:"expires_at,omitempty" db:"expires_at"`
	// LastUsedAt is at most a minute older than the last use; nil: it was never used.
	LastUsedAt *time.Time `json:"last_used_at,omitempty" db:"last_used_at"`
	// CreatedBy is "admin", "admin:<name>" or the id of the key that made it; "" for one made before this was kept.
	CreatedBy string `json:"created_by,omitempty" db:"created_by"`
	// AllowCIDRs are the networks that it may be used from; none: from anywhere.
	AllowCIDRs []netip.Prefix `json:"allow_cidrs,omitempty" db:"-"`
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
	if k.ExpiresAt != nil && !k.ExpiresAt.After(k.CreatedAt) {
		found.addf("expires_at", "has passed already; give a moment to come")
	}
	if len(k.AllowCIDRs) > MaxKeyCIDRs {
		found.addf("allow_cidrs", "has at most %d networks, not %d", MaxKeyCIDRs, len(k.AllowCIDRs))
	}
	return found.err("key")
}

// ExpiredAt reports whether the key has expired at a time.
func (k *APIKey) ExpiredAt(at time.Time) bool { return k.ExpiresAt != nil && !at.Before(*k.ExpiresAt) }

// AllowsAddress reports whether the key may be used from an address, which is not IPv4 inside of IPv6.
func (k *APIKey) AllowsAddress(from netip.Addr) bool {
	return len(k.AllowCIDRs) == 0 || slices.ContainsFunc(k.AllowCIDRs, func(p netip.Prefix) bool { return p.Contains(from) })
}

// Outlives reports whether the key may be used after the other has ended.
func (k *APIKey) Outlives(other *APIKey) bool {
	return other.ExpiresAt != nil && (k.ExpiresAt == nil || k.ExpiresAt.After(*other.ExpiresAt))
}

// Inherit gives a key that is being made the networks and the end of the key that makes it, where it has none of its own.
func (k *APIKey) Inherit(maker *APIKey) {
	if len(k.AllowCIDRs) == 0 {
		k.AllowCIDRs = maker.AllowCIDRs
	}
	if k.ExpiresAt == nil {
		k.ExpiresAt = maker.ExpiresAt
	}
}

// CheckMakes returns a CodeForbidden error when the holder of k may not make the key made: nobody passes on what he does not have,
// be it a scope, an address to call from, or time.
func (k *APIKey) CheckMakes(made *APIKey) error {
	var found problems
	for i, scope := range made.Scopes {
		if !slices.Contains(k.Scopes, scope) {
			found.addf(indexed("scopes", i), "is %q, which the key that makes it has not", scope)
		}
	}
	if len(k.AllowCIDRs) > 0 && len(made.AllowCIDRs) == 0 {
		found.addf("allow_cidrs", "is required: the key that makes it is bound to addresses")
	}
	for i, p := range made.AllowCIDRs {
		if len(k.AllowCIDRs) > 0 && !slices.ContainsFunc(k.AllowCIDRs, func(mine netip.Prefix) bool { return covers(mine, p) }) {
			found.addf(indexed("allow_cidrs", i), "is %s, where the key that makes it may not be used", p)
		}
	}
	if made.Outlives(k) {
		found.addf("expires_at", "is at the latest %s, when the key that makes it ends", k.ExpiresAt.UTC().Format(time.RFC3339Nano))
	}
	if len(found) == 0 {
		return nil
	}
	err := Errorf(CodeForbidden, "a key cannot make one that may do more than itself")
	err.Fields = found
	return err
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// ParseNetwork reads a network such as 192.0.2.0/24, or an address alone, which is a network of one. An IPv4 address written as IPv6 is none,
// because it would match nothing.
func ParseNetwork(text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	if a, single := netip.ParseAddr(text); single == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	return p.Masked(), err == nil && !p.Addr().Is4In6()
}

// UnknownKey is the error for every key that does not count, so that nobody learns why.
func UnknownKey() error {
	return Errorf(CodeUnauthorized, "the API key is unknown, revoked or expired")
}

// Allows reports whether the key has the scope for the tenant.
func (k *APIKey) Allows(tenant string, scope Scope) bool {
	return k.TenantID == tenant && slices.Contains(k.Scopes, scope)
}
