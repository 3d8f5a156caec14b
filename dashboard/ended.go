package dashboard

import (
	"net/http"
	"net/url"

	"waybill/webhook"
)

// askToSignIn answers a request that has no session, or one whose session has ended.
func (c *call) askToSignIn() error {
	if _, err := c.r.Cookie(c.cookieName(sessionCookie)); err == nil {
		c.dropSession()
	} else if c.fromElsewhere() {
		return c.show("arrive", view{Title: "Waybill", Data: c.Here()})
	}
	if c.r.Header.Get("HX-Request") == "true" { // a part of a page asks; the page as a whole is to ask, and not to lose the part
		c.w.Header().Set("HX-Refresh", "true")
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if c.mayBeFramed() && c.inFrame() {
		// The page to sign in is in no frame, because a page around it could take the key.
		return c.showLeft(http.StatusUnauthorized, "The session has ended", "Open this page again where you came from.")
	}
	return c.redirect("/sign-in?next=" + url.QueryEscape(c.backTo()))
}

// showLeft is the end of a portal session, in a frame too.
func (c *call) showLeft(status int, title, detail string) error {
	c.Session, c.Tenant, c.frame = nil, nil, true
	c.secureHeaders()
	return c.show("problem", view{Title: title, Status: status, Data: &problem{Title: title, Detail: detail}})
}

// fromElsewhere reports whether a link of another site led to this page. Browsers then send no cookie that is for this site only. The page
// asks for itself once more, which brings the cookie, so that nobody is asked to sign in who is signed in.
func (c *call) fromElsewhere() bool {
	return c.r.Method == http.MethodGet && c.r.Header.Get("Sec-Fetch-Site") == "cross-site" && c.r.Header.Get("Sec-Fetch-Dest") == "document"
}

// backTo is where to go after signing in: this page, if it only reads.
func (c *call) backTo() string {
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		return c.Here()
	}
	return "/"
}

// refuseForged answers a form that another site sent.
func (d *Dashboard) refuseForged(*call) error {
	return &problem{
		Status: http.StatusForbidden, Title: "This came from another site", Code: webhook.CodeForbidden,
		Detail: "A page elsewhere sent a form here. Nothing was done. Open the dashboard itself and do there what you want to do.",
	}
}
