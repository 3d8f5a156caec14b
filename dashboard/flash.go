package dashboard

import (
	"encoding/base64"
	"net/http"
)

// flashCookie carries what was just done to the page that follows. Whoever can write it is the person who reads it.
const flashCookie = "waybill_flash"

// maxFlashBytes bounds the text.
const maxFlashBytes = 500

func (c *call) keepFlash(text string) {
	cookie := c.newCookie(flashCookie, base64.RawURLEncoding.EncodeToString([]byte(cutText(maxFlashBytes, text))))
	cookie.MaxAge = 60
	http.SetCookie(c.w, cookie)
}

// takeFlash leaves it for the next page where a script asks for a part of this one.
func (c *call) takeFlash() string {
	cookie, err := c.r.Cookie(c.cookieName(flashCookie))
	if err != nil || c.r.Header.Get("Sec-Fetch-Dest") == "empty" {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(text) > maxFlashBytes {
		return ""
	}
	gone := c.newCookie(flashCookie, "")
	gone.MaxAge = -1
	http.SetCookie(c.w, gone)
	return string(text)
}
