package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"waybill/webhook"
)

// call is a request of a person, for its page.
type call struct {
	*Dashboard
	w http.ResponseWriter
	r *http.Request
	// token is the session's credential, "" before anybody signed in.
	token string
	// Session is nil before anybody signed in.
	Session *session
	// Tenant and Dialect are set on pages of a tenant.
	Tenant  *tenant
	Dialect *webhook.Dialect
	// frame says that the page may be in a frame though it is none of a portal session.
	frame bool
	// now is one moment for the whole page.
	now time.Time
}

// session says who is signed in, as GET /v1/session tells.
type session struct {
	Actor     string              `json:"actor"`
	Kind      string              `json:"kind"`
	Tenant    string              `json:"tenant"`
	Scopes    []webhook.Scope     `json:"scopes"`
	Filter    map[string][]string `json:"filter"`
	ExpiresAt *time.Time          `json:"expires_at"`
}

// Kinds of a session.
const (
	kindAdmin  = "admin"
	kindPortal = "portal"
)

// tenant is a tenant as the API shows it.
type tenant struct {
	webhook.Tenant
	Branding struct {
		LogoURL     string `json:"logo_url"`
		AccentColor string `json:"accent_color"`
	} `json:"branding"`
}

// Operator reports whether the administrator looks.
func (c *call) Operator() bool { return c.Session != nil && c.Session.Kind == kindAdmin }

// Portal reports whether the session came by a portal link.
func (c *call) Portal() bool { return c.Session != nil && c.Session.Kind == kindPortal }

// Filtered reports whether the session sees only the endpoints of its filter.
func (c *call) Filtered() bool { return c.Session != nil && len(c.Session.Filter) > 0 }

// May reports whether the session has a scope, so that a page shows no button that would be refused.
func (c *call) May(scope webhook.Scope) bool {
	return c.Session != nil && slices.Contains(c.Session.Scopes, scope)
}

// Manages reports whether the session may change things.
func (c *call) Manages() bool { return c.May(webhook.ScopeManage) }

// Administers reports whether the session may see keys, audit and settings of the tenant, which no portal session may.
func (c *call) Administers() bool { return c.Manages() && !c.Portal() }

// Href is the path of a page of the tenant.
func (c *call) Href(parts ...string) string {
	var path strings.Builder
	path.WriteString("/tenants/" + url.PathEscape(c.Tenant.ID))
	for _, part := range parts {
		path.WriteString("/" + url.PathEscape(part))
	}
	return path.String()
}

// Here is the path and query of this page.
func (c *call) Here() string { return c.r.URL.RequestURI() }

// Query is a parameter of the page.
func (c *call) Query(name string) string { return c.r.URL.Query().Get(name) }

// With is this page with other values of parameters: name, value, name, value. An empty value takes the parameter away.
func (c *call) With(pairs ...string) string {
	values := c.r.URL.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if values.Del(pairs[i]); pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return c.r.URL.EscapedPath()
	}
	return c.r.URL.EscapedPath() + "?" + values.Encode()
}

// part is a segment of the page's path.
func (c *call) part(name string) string { return mux.Vars(c.r)[name] }

// serve finds out who is asking, runs the page and shows its error.
func (d *Dashboard) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{Dashboard: d, w: w, r: r, now: d.opts.Now().UTC()}
		err := c.admit(rt.visitors)
		c.secureHeaders()
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
			err = c.readForm()
		}
		if err == nil {
			err = rt.page(c)
		}
		if err != nil {
			c.fail(err)
		}
	})
}

// maxFormBytes bounds what a form sends. The largest is an event to publish.
const maxFormBytes = 1 << 20

var errSignIn = errors.New("nobody is signed in")

// admit finds the session, and the tenant of the path.
func (c *call) admit(needed visitors) error {
	c.token = c.cookieToken()
	if c.token != "" {
		var s session
		switch err := c.get("/v1/session", nil, &s); {
		case err == nil:
			c.Session = &s
		case isStatus(err, http.StatusUnauthorized):
			c.token = ""
		case needed != anybody:
			return err
		}
	}
	if needed == anybody {
		return nil
	}
	if c.Session == nil {
		return errSignIn
	}
	if needed == operators && !c.Operator() {
		return notFound("This page is for operators, who sign in with an administrator's key.")
	}
	if needed < ofTenant || needed == operators {
		return nil
	}
	if err := c.findTenant(c.part("tenant")); err != nil {
		return err
	}
	switch {
	case needed == publishers && !c.May(webhook.ScopePublish):
		return notFound("This page is for keys with the scope publish.")
	case needed == tenantKeys && !c.Administers():
		return notFound("This page is for keys with the scope manage.")
	default:
		return nil
	}
}

func (c *call) findTenant(id string) error {
	var t tenant
	if err := c.get("/v1/tenants/"+url.PathEscape(id), nil, &t); err != nil {
		return err
	}
	d, err := c.dialects.get(c, t.Dialect)
	if err != nil {
		return fmt.Errorf("read the dialect of the tenant: %w", err)
	}
	c.Tenant, c.Dialect = &t, d
	return nil
}

// gone reports whether the person has closed the page.
func (c *call) gone(err error) bool {
	return c.r.Context().Err() != nil || errors.Is(err, context.Canceled)
}
