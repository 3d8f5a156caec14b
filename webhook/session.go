package webhook

import (
	"slices"
	"time"
)

// Limits of sessions and of the links that open them.
const (
	// MaxSessions is how many sessions of one API key are kept, and of all administrators together: one more ends the oldest.
	MaxSessions = 1000
	// MaxLinks is how many portal links of a tenant may not have ended, opened or not, and so how many portal sessions it has.
	MaxLinks = 10_000
)

// Span says how long something may live that its maker ends.
type Span struct{ Default, Min, Max time.Duration }

// The spans of what people sign in with.
var (
	SessionSpan = Span{Default: 12 * time.Hour, Min: 5 * time.Minute, Max: 24 * time.Hour}
	SignInSpan  = Span{Default: 12 * time.Hour, Min: time.Minute, Max: 24 * time.Hour}
	LinkSpan    = Span{Default: time.Hour, Min: time.Minute, Max: 24 * time.Hour}
)

// Choose returns the span that was asked for, or the default. CodeInvalid: it is too short or too long.
func (s Span) Choose(asked *Duration) (time.Duration, error) {
	if asked == nil {
		return s.Default, nil
	}
	if asked.Std() < s.Min || asked.Std() > s.Max {
		return 0, NewInvalid("request", FieldError{"expires_in",
			"is from " + Duration(s.Min).String() + " to " + Duration(s.Max).String() + ", not " + asked.String()})
	}
	return asked.Std(), nil
}

// Session is what somebody signed in with, without its token, which is stored only as a hash. It has the rights of the key that made
// it, or those of its portal link.
type Session struct {
	ID SessionID `db:"id"`
	// TenantID is "" for an administrator's.
	TenantID string `db:"tenant_id"`
	// KeyID is the key that made it or its link; zero: an administrator's key did.
	KeyID KeyID `db:"-"`
	// MakerCheck tells which administrator's key made it, to whoever has the token and the key; nil: a tenant's key did.
	MakerCheck []byte `db:"maker_check"`
	// LinkID is the link that opened it; zero: it was made with a key.
	LinkID LinkID `db:"-"`
	// Scopes and Confinement are those of the portal link; nil for a session without one.
	Scopes      []Scope     `db:"-"`
	Confinement Confinement `db:"-"`
	CreatedAt   time.Time   `db:"created_at"`
	ExpiresAt   time.Time   `db:"expires_at"`
}

// OfPortal reports whether the session came by a tenant's portal link.
func (s *Session) OfPortal() bool { return s.TenantID != "" && !s.LinkID.IsZero() }

// Allows reports whether a portal session has the scope for the tenant.
func (s *Session) Allows(tenant string, scope Scope) bool {
	return s.TenantID == tenant && slices.Contains(s.Scopes, scope)
}

// Link opens one session, once: a portal session of a tenant, or an administrator's. Its token is stored only as a hash.
type Link struct {
	ID LinkID `db:"id"`
	// TenantID is "" for a sign-in link, which opens an administrator's session.
	TenantID string `db:"tenant_id"`
	// KeyID and MakerCheck are as in Session.
	KeyID      KeyID  `db:"-"`
	MakerCheck []byte `db:"maker_check"`
	// Scopes are what a portal session may do: ScopeRead, and ScopeManage too.
	Scopes      []Scope     `db:"-"`
	Confinement Confinement `db:"-"`
	CreatedAt   time.Time   `db:"created_at"`
	// ExpiresAt is when the link ends, and the session that it opened.
	ExpiresAt time.Time `db:"expires_at"`
}

// Validate checks a portal link and writes the UUIDs of its filter as events have them. maker is the key that makes it; nil: an
// administrator's. The error is CodeInvalid, or CodeForbidden where the maker would pass on what it does not have.
func (l *Link) Validate(d *Dialect, maker *APIKey) error {
	var found problems
	read := slices.Equal(l.Scopes, []Scope{ScopeRead})
	if !read && !slices.Equal(l.Scopes, []Scope{ScopeRead, ScopeManage}) {
		found.addf("scopes", `is ["read"] or ["read","manage"]`)
	}
	if l.Confinement != nil {
		l.Confinement.check(d, &found)
	}
	if err := found.err("portal link"); err != nil || maker == nil {
		return err
	}
	for i, scope := range l.Scopes {
		if !slices.Contains(maker.Scopes, scope) {
			err := Errorf(CodeForbidden, "a key cannot make a portal link that may do more than itself")
			err.Fields = []FieldError{{indexed("scopes", i), "is " + string(scope) + ", which the key that makes it has not"}}
			return err
		}
	}
	return nil
}

// UnknownSession is the error for every session that does not count, so that nobody learns why.
func UnknownSession() error {
	return Errorf(CodeUnauthorized, "the session is unknown or has ended; sign in again")
}

// UnknownLink is the error for every link that does not open, so that nobody learns why.
func UnknownLink() error {
	return Errorf(CodeUnauthorized, "the link is unknown, was opened before, or has ended; ask for a new one where you got it")
}
