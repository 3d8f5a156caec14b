package api

import (
	"net/http"
	"regexp"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// linkPattern is the form of a link's token.
var linkPattern = regexp.MustCompile(`^wbl_[A-Za-z0-9_-]{43}$`)

type portalLinkInput struct {
	ExpiresIn *webhook.Duration   `json:"expires_in"`
	Scopes    []webhook.Scope     `json:"scopes"`
	Filter    webhook.Confinement `json:"filter"`
}

// linkView is a new link. Its URL, which has the token, is only in the answer to the creation.
type linkView struct {
	ID        webhook.LinkID `json:"id"`
	URL       string         `json:"url"`
	ExpiresAt time.Time      `json:"expires_at"`
}

// createPortalLink is POST /v1/tenants/{tenant}/portal-links.
func (s *Server) createPortalLink(w http.ResponseWriter, r *http.Request, c *call) error {
	var in portalLinkInput
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	return s.create(w, r, c, &in, func() (*creation, error) {
		span, err := webhook.LinkSpan.Choose(in.ExpiresIn)
		if err != nil {
			return nil, err
		}
		l := &webhook.Link{TenantID: c.tenant.ID, Scopes: in.Scopes, Confinement: in.Filter}
		if in.Scopes == nil {
			l.Scopes = []webhook.Scope{webhook.ScopeRead}
		}
		if err := l.Validate(c.dialect, c.key); err != nil {
			return nil, err
		}
		return s.planLink(r, c, l, span)
	})
}

// createSignInLink is POST /v1/sign-in-links: a link that opens a session of the administrator's key that asks.
func (s *Server) createSignInLink(w http.ResponseWriter, r *http.Request, c *call) error {
	if err := c.needsKey(); err != nil {
		return err
	}
	var in spanInput
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	return s.create(w, r, c, &in, func() (*creation, error) {
		span, err := webhook.SignInSpan.Choose(in.ExpiresIn)
		if err != nil {
			return nil, err
		}
		return s.planLink(r, c, &webhook.Link{}, span)
	})
}

func (s *Server) planLink(r *http.Request, c *call, l *webhook.Link, span time.Duration) (*creation, error) {
	token, err := s.newToken("wbl_")
	if err != nil {
		return nil, err
	}
	now := s.now()
	l.ID, l.KeyID, l.MakerCheck = webhook.NewID[webhook.LinkID](s.opts.NewUUID()), c.keyID(), s.checkOf(c, token)
	l.CreatedAt, l.ExpiresAt = now, c.endsBy(now, span)
	hash := hashKey(token)
	return &creation{
		show: func() (made, error) {
			return made{view: linkView{ID: l.ID, URL: s.publicURL(r) + "/portal/" + token, ExpiresAt: l.ExpiresAt}}, nil
		},
		do: func(once *store.Once) error { return s.store.CreateLink(r.Context(), l, hash[:], once) },
	}, nil
}

// publicURL is the base of links: where people reach this Waybill, as far as it is known.
func (s *Server) publicURL(r *http.Request) string {
	if s.opts.PublicURL != "" {
		return s.opts.PublicURL
	}
	scheme := "http"
	if r.TLS != nil || s.throughProxy(r) && r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// openLink is POST /v1/portal-sessions. It needs no key: the link is what one has.
func (s *Server) openLink(w http.ResponseWriter, r *http.Request, _ *call) error {
	var in struct {
		Token string `json:"token"`
	}
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	if !linkPattern.MatchString(in.Token) {
		return webhook.UnknownLink()
	}
	token, err := s.newToken("wbs_")
	if err != nil {
		return err
	}
	var opened *webhook.Session
	link := hashKey(in.Token)
	err = s.store.OpenLink(r.Context(), link[:], func(l *store.FoundLink) (*webhook.Session, []byte, error) {
		var err error
		opened, err = s.sessionOf(l, in.Token, token)
		hash := hashKey(token)
		return opened, hash[:], err
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, sessionMade{Token: token, ExpiresAt: opened.ExpiresAt, Tenant: opened.TenantID})
}

// sessionOf returns the session that a link opens now. token is the session's.
func (s *Server) sessionOf(l *store.FoundLink, linkToken, token string) (*webhook.Session, error) {
	now := s.now()
	out := &webhook.Session{
		ID: webhook.NewID[webhook.SessionID](s.opts.NewUUID()), TenantID: l.TenantID, KeyID: l.KeyID, LinkID: l.ID,
		Scopes: l.Scopes, Confinement: l.Confinement, CreatedAt: now, ExpiresAt: l.ExpiresAt,
	}
	if !now.Before(l.ExpiresAt) || l.Key != nil && l.Key.ExpiredAt(now) {
		return nil, webhook.UnknownLink()
	}
	if l.KeyID.IsZero() {
		maker := s.makerOf(linkToken, l.MakerCheck)
		if maker == nil {
			return nil, webhook.UnknownLink()
		}
		out.MakerCheck = makerCheck(token, maker)
	}
	return out, nil
}
