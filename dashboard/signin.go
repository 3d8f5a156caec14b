package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"waybill/webhook"
)

// opened is the API's answer to a new session.
type opened struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	Tenant    string    `json:"tenant"`
}

// signInForm is the page that asks for a key.
type signInForm struct {
	Next    string
	Problem *problem
}

// showSignIn is GET /sign-in.
func showSignIn(c *call) error {
	switch {
	case c.Session != nil:
		return c.redirect(nextPage(c.Query("next")))
	case c.mayBeFramed() && c.inFrame():
		return errSignIn
	}
	return c.show("sign-in", view{Title: "Sign in", Data: signInForm{Next: c.Query("next")}})
}

// signIn is POST /sign-in: a session with the rights of the key.
func signIn(c *call) error {
	form := signInForm{Next: c.r.PostFormValue("next")}
	key := strings.TrimSpace(c.r.PostFormValue("key"))
	if wait := c.attempts.enter(c.opts.ClientAddress(c.r), c.now); wait > 0 {
		form.Problem = tooManyAttempts(wait)
		return c.show("sign-in", view{Title: "Sign in", Status: http.StatusTooManyRequests, Data: form})
	}
	var session opened
	c.token = key
	err := c.send(http.MethodPost, "/v1/sessions", struct{}{}, &session)
	c.token = ""
	if p := refused(err); p != nil {
		form.Problem = p
		return c.show("sign-in", view{Title: "Sign in", Status: p.Status, Data: form})
	}
	if err != nil {
		return err
	}
	c.attempts.succeeded(c.opts.ClientAddress(c.r))
	c.keepSession(&session)
	return c.redirect(nextPage(form.Next))
}

// signOut is POST /sign-out. It ends the session in the database too, so that a copy of the cookie is worth nothing.
func signOut(c *call) error {
	if c.token != "" {
		if err := c.send(http.MethodDelete, "/v1/session", nil, nil); err != nil && !isStatus(err, http.StatusUnauthorized) {
			return err
		}
	}
	c.dropSession()
	if c.Portal() {
		// Whoever came by a link has no key to sign in with, and the page to sign in is in no frame.
		return c.showLeft(http.StatusOK, "You have left", "Open the dashboard again where you came from.")
	}
	return c.redirect("/sign-in")
}

// showPortal is GET /portal/{token}. It does not open the link yet: programs that look at links in mails and chats send GET, and a link
// opens once. The page sends the form by itself where there is JavaScript.
func showPortal(c *call) error { return c.showPortalLink(c.part("token")) }

// portalLink is a link that is about to be opened. Replaces is the session that ends here when it is; nil: none that is worth a question.
type portalLink struct {
	Token    string
	Replaces *session
}

// showPortalLink asks whoever signed in with a key: otherwise a link of somebody else, on any site, would put them into a session that
// they believe is theirs.
func (c *call) showPortalLink(token string) error {
	link := portalLink{Token: token}
	if !c.Portal() {
		link.Replaces = c.Session
	}
	return c.show("portal", view{Title: "Open the dashboard", Data: link})
}

// openPortal is POST /portal. Browsers send no cookie to the page before when another site leads there, so it may not have asked.
func openPortal(c *call) error {
	token := c.r.PostFormValue("token")
	if c.Session != nil && !c.Portal() && c.r.PostFormValue("replace") == "" {
		return c.showPortalLink(token)
	}
	var session opened
	c.token = ""
	err := c.send(http.MethodPost, "/v1/portal-sessions", map[string]string{"token": token}, &session)
	if isStatus(err, http.StatusUnauthorized) {
		return closedLink()
	}
	if err != nil {
		return err
	}
	c.keepSession(&session)
	if session.Tenant == "" {
		return c.redirect("/")
	}
	return c.redirect("/tenants/" + url.PathEscape(session.Tenant))
}

// closedLink says that a link opens no more. Whoever is signed in stays so: a link is often opened again by going back in the browser.
func closedLink() error {
	return &problem{
		Status: http.StatusGone, Title: "This link does not open any more", Code: webhook.CodeUnauthorized,
		Detail: "It was opened before, has ended, or is not complete. Ask for a new one where you got it.",
	}
}

// showStart is GET /.
func showStart(c *call) error {
	if c.Session.Tenant != "" {
		return c.redirect("/tenants/" + url.PathEscape(c.Session.Tenant))
	}
	return c.redirect("/tenants")
}

// nextPage is a path of this site, never an address elsewhere.
func nextPage(next string) string {
	at, err := url.Parse(next)
	if err != nil || at.IsAbs() || at.Host != "" || at.Opaque != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

func tooManyAttempts(wait time.Duration) *problem {
	return &problem{
		Status: http.StatusTooManyRequests, Title: "Too many attempts to sign in", Code: webhook.CodeRateLimited,
		Detail: "Wait " + spell(wait.Round(time.Second)) + ", then try again.",
	}
}
