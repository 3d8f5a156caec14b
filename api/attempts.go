package api

import (
	"encoding/base64"
	"net/http"
	"unicode/utf8"

	"waybill/webhook"
)

// attemptView is an attempt as shown. Bodies are text, or base64 where they are not UTF-8.
type attemptView struct {
	*webhook.Attempt
	RequestBody          *string `json:"request_body,omitempty"`
	RequestBodyEncoding  string  `json:"request_body_encoding,omitempty"`
	ResponseBody         string  `json:"response_body"`
	ResponseBodyEncoding string  `json:"response_body_encoding,omitempty"`
}

func showAttempt(a *webhook.Attempt) attemptView {
	shown := *a
	if shown.RequestHeaders == nil {
		shown.RequestHeaders = map[string]string{}
	}
	if shown.ResponseHeaders == nil {
		shown.ResponseHeaders = map[string]string{}
	}
	out := attemptView{Attempt: &shown}
	body := a.ResponseBody
	if text := wholeRunes(a); utf8.Valid(text) {
		body = text
	}
	out.ResponseBody, out.ResponseBodyEncoding = showBytes(body)
	return out
}

func showBytes(b []byte) (text, encoding string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return base64.StdEncoding.EncodeToString(b), "base64"
}

// wholeRunes drops an incomplete character at the end of a body that was cut.
func wholeRunes(a *webhook.Attempt) []byte {
	body := a.ResponseBody
	for cut := 1; a.ResponseTruncated && cut < utf8.UTFMax && cut <= len(body); cut++ {
		if tail := body[len(body)-cut:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return body[:len(body)-cut]
			}
			break
		}
	}
	return body
}

// listAttempts is GET /v1/tenants/{tenant}/deliveries/{delivery}/attempts, by number. The request's body is left out, because it is
// the same each time and may have 256 KiB.
func (s *Server) listAttempts(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "limit", "cursor")
	page := q.page(new(webhook.AttemptID))
	if err := q.err(); err != nil {
		return err
	}
	d, err := s.findDelivery(r, c)
	if err != nil {
		return err
	}
	found, err := s.store.Attempts(r.Context(), c.tenant.ID, d.ID, more(page))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, paged(found, page,
		func(a *webhook.Attempt) string { return a.ID.String() }, showAttempt))
}

// getAttempt is GET /v1/tenants/{tenant}/deliveries/{delivery}/attempts/{attempt}, with the bytes that were sent.
func (s *Server) getAttempt(w http.ResponseWriter, r *http.Request, c *call) error {
	delivery, err := pathID[webhook.DeliveryID](r, "delivery")
	if err != nil {
		return err
	}
	id, err := pathID[webhook.AttemptID](r, "attempt")
	if err != nil {
		return err
	}
	a, err := s.store.Attempt(r.Context(), c.tenant.ID, id)
	if err != nil {
		return err
	}
	if a.DeliveryID != delivery {
		return webhook.Errorf(webhook.CodeNotFound, "there is no attempt %q of this delivery", id)
	}
	shown := showAttempt(&a.Attempt)
	if a.RequestBody != nil {
		text, encoding := showBytes(a.RequestBody)
		shown.RequestBody, shown.RequestBodyEncoding = &text, encoding
	}
	return writeJSON(w, http.StatusOK, shown)
}
