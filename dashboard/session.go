package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// Names of the cookie. The prefix __Host- makes browsers refuse one that another host set or that came without TLS.
const (
	plainCookie  = "waybill_session"
	secureCookie = "__Host-waybill_session"
)

func (d *Dashboard) cookieName() string {
	if d.secure {
		return secureCookie
	}
	return plainCookie
}

// sign returns the token with its signature, so that a cookie that was made up costs no look at the database.
func sign(key []byte, token string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("waybill session cookie\x00" + token))
	return token + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// cookieToken returns the session's token, "" where there is no cookie or its signature is wrong.
func (c *call) cookieToken() string {
	cookie, err := c.r.Cookie(c.cookieName())
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

// keepSession hands the session to the browser until it ends.
func (c *call) keepSession(token string, ends time.Time) {
	cookie := c.newCookie(sign(c.opts.SigningKeys[0], token))
	cookie.Expires = ends
	http.SetCookie(c.w, cookie)
}

func (c *call) dropSession() {
	cookie := c.newCookie("")
	cookie.MaxAge = -1
	http.SetCookie(c.w, cookie)
}

// newCookie is for this site only. Where portals may be shown in frames of other sites, browsers send it there only when it says
// so, to frames below the same site alone; the check of the origin then protects from forged forms.
func (c *call) newCookie(value string) *http.Cookie {
	cookie := &http.Cookie{Name: c.cookieName(), Value: value, Path: "/", HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteStrictMode}
	if c.secure && c.framed() {
		cookie.SameSite, cookie.Partitioned = http.SameSiteNoneMode, true
	}
	return cookie
}

// framed reports whether this page may be shown in a frame of another site: what a portal session sees, and the way into it.
func (c *call) framed() bool {
	return c.mayBeFramed() && (c.frame || c.Portal() || strings.HasPrefix(c.r.URL.Path, "/portal"))
}

// mayBeFramed reports whether the operator lets other sites show portals in frames.
func (c *call) mayBeFramed() bool { return len(c.opts.FrameAncestors) > 0 }
