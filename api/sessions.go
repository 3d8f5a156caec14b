package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/maypok86/otter/v2"

	"waybill/store"
	"waybill/webhook"
)

// sessionPattern is the form of a session's token; anything else is refused without a query of the database.
var sessionPattern = regexp.MustCompile(`^wbs_[A-Za-z0-9_-]{43}$`)

// session is a session as it is cached, at most keyStaleness old.
type session struct {
	*store.FoundSession
	// admin made it, or its link; nil: a tenant's key did.
	admin *admin
}

// caller returns who sends a request with the session.
func (s *session) caller() caller {
	switch {
	case s.OfPortal():
		return caller{session: &s.Session}
	case s.admin != nil:
		return caller{session: &s.Session, admin: true, adminName: s.admin.name}
	default:
		return caller{session: &s.Session, key: s.Key}
	}
}

// makerCheck ties a token to the administrator's key that made it. Whoever reads the database has no token, and so nothing to try keys
// against.
func makerCheck(token string, a *admin) []byte {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write(a.hash[:])
	return mac.Sum(nil)
}

// makerOf returns the administrator's key that made a token; nil: none that is configured.
func (s *Server) makerOf(token string, check []byte) *admin {
	for i := range s.admins {
		if hmac.Equal(makerCheck(token, &s.admins[i]), check) {
			return &s.admins[i]
		}
	}
	return nil
}

// checkOf returns the check of a token that the caller makes; nil where it is no administrator.
func (s *Server) checkOf(c *call, token string) []byte {
	for i := range s.admins {
		if c.admin && s.admins[i].name == c.adminName {
			return makerCheck(token, &s.admins[i])
		}
	}
	return nil
}

// authenticateSession returns who has a session. It ends with the key that made it, or its link. Where that key may be used from holds
// for the sessions that it makes, and not for those of portal links, which are made for others.
func (s *Server) authenticateSession(r *http.Request, hash keyHash, token string) (caller, error) {
	found, err := s.findSession(r.Context(), hash, token)
	if err != nil {
		return caller{}, err
	}
	now := s.now()
	if !now.Before(found.ExpiresAt) || found.Key != nil && found.Key.ExpiredAt(now) {
		return caller{}, webhook.UnknownSession()
	}
	who, of := found.caller(), useOf{session: found.ID}
	if who.key != nil {
		if err := s.admitKey(r, who.key, now); err != nil {
			return caller{}, err
		}
		of.key = who.key.ID
	}
	return who, s.uses.enter(infoOf(r), of, now)
}

func (s *Server) findSession(ctx context.Context, hash keyHash, token string) (*session, error) {
	if _, unknown := s.unknown.GetIfPresent(hash); unknown {
		return nil, webhook.UnknownSession()
	}
	found, err := s.sessions.Get(ctx, hash, otter.LoaderFunc[keyHash, *session](
		func(ctx context.Context, hash keyHash) (*session, error) {
			found, err := s.store.SessionByHash(ctx, hash[:])
			if err != nil {
				return nil, err
			}
			out := &session{FoundSession: found}
			if found.KeyID.IsZero() {
				if out.admin = s.makerOf(token, found.MakerCheck); out.admin == nil {
					return nil, webhook.UnknownSession()
				}
			}
			return out, nil
		}))
	if webhook.ErrorCode(err) == webhook.CodeUnauthorized {
		s.unknown.Set(hash, struct{}{})
		return nil, webhook.UnknownSession()
	}
	if err != nil {
		return nil, fmt.Errorf("look up a session: %w", err)
	}
	return found, nil
}

// spanInput is the optional body of calls that make something which ends.
type spanInput struct {
	ExpiresIn *webhook.Duration `json:"expires_in"`
}

// endsBy returns when something ends that the caller makes now: nothing outlives the key that makes it.
func (c *call) endsBy(now time.Time, span time.Duration) time.Time {
	end := now.Add(span)
	if c.key != nil && c.key.ExpiresAt != nil && c.key.ExpiresAt.Before(end) {
		return *c.key.ExpiresAt
	}
	return end
}

// keyID is the caller's key; zero: it has none.
func (c *call) keyID() webhook.KeyID {
	if c.key == nil {
		return webhook.KeyID{}
	}
	return c.key.ID
}

// sessionMade is a new session, with its token this once.
type sessionMade struct {
	Token     string             `json:"token"`
	ID        *webhook.SessionID `json:"id,omitempty"`
	ExpiresAt time.Time          `json:"expires_at"`
	Tenant    string             `json:"tenant,omitempty"`
}

// needsKey refuses a session where only a key will do: a session that makes sessions would never end.
func (c *call) needsKey() error {
	if c.session != nil {
		return webhook.Errorf(webhook.CodeForbidden, "this needs an API key; a session may not do it, because it would never end")
	}
	return nil
}

// createSession is POST /v1/sessions: a session with the rights of the key that asks.
func (s *Server) createSession(w http.ResponseWriter, r *http.Request, c *call) error {
	if err := c.needsKey(); err != nil {
		return err
	}
	var in spanInput
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	return s.create(w, r, c, &in, func() (*creation, error) { return s.planSession(r.Context(), c, &in) })
}

func (s *Server) planSession(ctx context.Context, c *call, in *spanInput) (*creation, error) {
	span, err := webhook.SessionSpan.Choose(in.ExpiresIn)
	if err != nil {
		return nil, err
	}
	token, err := s.newToken("wbs_")
	if err != nil {
		return nil, err
	}
	now := s.now()
	started := &webhook.Session{
		ID: webhook.NewID[webhook.SessionID](s.opts.NewUUID()), TenantID: c.tenantID(), KeyID: c.keyID(), MakerCheck: s.checkOf(c, token),
		CreatedAt: now, ExpiresAt: c.endsBy(now, span),
	}
	hash := hashKey(token)
	return &creation{
		show: func() (made, error) {
			return made{view: sessionMade{Token: token, ID: &started.ID, ExpiresAt: started.ExpiresAt}}, nil
		},
		do: func(once *store.Once) error { return s.store.CreateSession(ctx, started, hash[:], once) },
	}, nil
}

// Kinds of callers.
const (
	kindAdmin  = "admin"
	kindKey    = "key"
	kindPortal = "portal"
)

// sessionView says who the caller is.
type sessionView struct {
	// ID is of the session; nil for a key.
	ID     *webhook.SessionID  `json:"id,omitempty"`
	Actor  string              `json:"actor"`
	Kind   string              `json:"kind"`
	Tenant string              `json:"tenant,omitempty"`
	Scopes []webhook.Scope     `json:"scopes"`
	Filter webhook.Confinement `json:"filter,omitempty"`
	// ExpiresAt is of the session, or of the key; nil: it has no end.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// getSession is GET /v1/session.
func (s *Server) getSession(w http.ResponseWriter, _ *http.Request, c *call) error {
	out := sessionView{Actor: c.name(), Kind: kindKey, Tenant: c.tenantID(), Scopes: c.scopes()}
	if c.key != nil {
		out.ExpiresAt = c.key.ExpiresAt
	}
	switch {
	case c.admin:
		out.Kind = kindAdmin
	case c.portal() != nil:
		out.Kind, out.Filter = kindPortal, c.session.Confinement
	}
	if c.session != nil {
		out.ID, out.ExpiresAt = &c.session.ID, &c.session.ExpiresAt
	}
	return writeJSON(w, http.StatusOK, out)
}

// endSession is DELETE /v1/session.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request, c *call) error {
	if c.session == nil {
		return webhook.Errorf(webhook.CodeConflict, "this is an API key, not a session; a key is revoked by its id")
	}
	if err := s.store.EndSession(r.Context(), c.session); err != nil {
		return err
	}
	for hash, found := range s.sessions.All() {
		if found.ID == c.session.ID {
			s.sessions.Invalidate(hash)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
