package api

import (
	"net/http"

	"waybill/webhook"
)

// traceparent returns the trace that the request says it is in; "" where the header is missing, malformed or sent twice.
func traceparent(r *http.Request) webhook.Traceparent {
	given := r.Header["Traceparent"]
	if len(given) != 1 {
		return ""
	}
	return webhook.ParseTraceparent(given[0])
}
