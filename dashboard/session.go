package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// The session is in a cookie. The prefix __Host- makes browsers refuse one that another host set or that came without TLS.
const (
	sessionCookie = "waybill_session"
	hostOnly      = "__Host-"
)

// cookieName is the name under which browsers have a cookie.
func (d *Dashboard) cookieName(name string) string {
	if d.secure {
		return hostOnly + name
	}
	return name
}

// sign returns the token with its signature, so that a cookie that was made up costs no look at the database.
func sign(key []byte, token string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("waybill session cookie\x00" + token))
	return token + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// cookieToken returns the session's token, "" where there is no cookie or its signature is wrong.
func (c *call) cookieToken() string {
	cookie, err := c.r.Cookie(c.cookieName(sessionCookie))
	if err != nil {
		return ""
	}
	token, _, _ := strings.Cut(cookie.Value, ".")
	for _, key := range c.opts.SigningKeys {
		if hmac.Equal([]byte(sign(key, token)), []byte(cookie.Value)) {
			return token
		}
	}
	return ""
}

// keepSession hands the session to the browser until it ends. Only that of a portal may be used in a frame of another site.
func (c *call) keepSession(s *opened) {
	cookie := c.newCookie(sessionCookie, sign(c.opts.SigningKeys[0], s.Token))
	cookie.Expires = s.ExpiresAt
	if s.Tenant == "" {
		cookie.SameSite, cookie.Partitioned = http.SameSiteStrictMode, false
	}
	http.SetCookie(c.w, cookie)
}

func (c *call) dropSession() {
	cookie := c.newCookie(sessionCookie, "")
	cookie.MaxAge = -1
	http.SetCookie(c.w, cookie)
}

// newCookie is for this site only. In a frame of another site browsers keep a cookie only when it says so, and apart for each site that
// shows the frame; the check of the origin then protects from forged forms.
func (c *call) newCookie(name, value string) *http.Cookie {
	cookie := &http.Cookie{Name: c.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteStrictMode}
	if c.secure && c.framed() && c.inFrame() {
		cookie.SameSite, cookie.Partitioned = http.SameSiteNoneMode, true
	}
	return cookie
}

// framed reports whether this page may be shown in a frame of another site: what a portal session sees, the way into it, and what
// such a frame shows when the session has ended.
func (c *call) framed() bool {
	return c.mayBeFramed() && (c.frame || c.Portal() || strings.HasPrefix(c.r.URL.Path, "/portal"))
}

// inFrame reports whether the browser shows this page in a frame.
func (c *call) inFrame() bool {
	to := c.r.Header.Get("Sec-Fetch-Dest")
	return to == "iframe" || to == "frame"
}

// mayBeFramed reports whether the operator lets other sites show portals in frames.
func (c *call) mayBeFramed() bool { return len(c.opts.FrameAncestors) > 0 }
