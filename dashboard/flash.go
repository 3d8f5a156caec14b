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
	if len(text) > maxFlashBytes {
		text = text[:maxFlashBytes]
	}
	cookie := c.newCookie(base64.RawURLEncoding.EncodeToString([]byte(text)))
	cookie.Name, cookie.MaxAge = flashCookie, 60
	http.SetCookie(c.w, cookie)
}

func (c *call) takeFlash() string {
	cookie, err := c.r.Cookie(flashCookie)
	if err != nil {
		return ""
	}
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || len(text) > maxFlashBytes {
		return ""
	}
	gone := c.newCookie("")
	gone.Name, gone.MaxAge = flashCookie, -1
	http.SetCookie(c.w, gone)
	return string(text)
}
