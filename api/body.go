package api

import (
	"errors"
	"io"
	"net/http"
	"slices"

	"waybill/webhook"
)

// A buffer begins with firstBytes, or with the announced length if that is less, and grows by a factor of four. So it is
// never larger than about four times what has arrived, whatever length was announced.
const (
	firstBytes   = 4 << 10
	growthFactor = 4
)

// readBody reads the whole body, at most limit bytes, and waits for room in the process first. The room is released once
// the answer is written.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	tooLarge := webhook.Errorf(webhook.CodeTooLarge, "the request body exceeds %d bytes", limit)
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close") // instead of reading the rest
		return nil, tooLarge
	}
	most := limit + 1 // one more byte tells whether the body is longer
	if r.ContentLength >= 0 {
		most = r.ContentLength + 1
	}
	held := &infoOf(r).inflight
	source := http.MaxBytesReader(w, r.Body, limit)
	var body []byte
	for {
		if len(body) == cap(body) {
			size := min(max(int64(cap(body))*growthFactor, firstBytes), most)
			if err := held.hold(r.Context(), size); err != nil {
				return nil, err
			}
			body = slices.Grow(body, int(size)-len(body))[:len(body):size]
		}
		n, err := source.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var exceeded *http.MaxBytesError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return body, nil
		case errors.As(err, &exceeded):
			return nil, tooLarge
		default:
			return nil, webhook.Errorf(webhook.CodeMalformed, "the request body broke off").WithCause(err)
		}
	}
}
