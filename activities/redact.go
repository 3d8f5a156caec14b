package activities

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"waybill/webhook"
)

// Limits of what is recorded of an attempt.
const (
	maxErrorBytes       = 500
	maxRecordedHeaders  = 50
	maxRecordedBytes    = 8 << 10 // names and values together
	maxHeaderValueBytes = 1 << 10
)

const redacted = "[redacted]"

// sensitive are headers whose values are secrets in requests and in answers.
var sensitive = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Set-Cookie2", "X-Api-Key", "Authentication-Info",
}

// recordedRequest returns the request headers as they may be shown: the endpoint's own values are redacted, names are kept. A
// signature is no secret: whoever reads the log has the body that it signs, and it does not tell the key.
func recordedRequest(sent []webhook.Header, e *webhook.Endpoint) map[string]string {
	secret := slices.AppendSeq(slices.Clone(sensitive), maps.Keys(e.Headers))
	headers := make(map[string]string, len(sent))
	for _, h := range sent {
		headers[h.Name] = h.Value
	}
	return recorded(headers, secret)
}

// recordedResponse returns the answer's headers as they may be shown.
func recordedResponse(got http.Header) map[string]string {
	headers := make(map[string]string, len(got))
	for name, values := range got {
		headers[name] = strings.Join(values, ", ")
	}
	return recorded(headers, sensitive)
}

// recorded redacts and bounds headers. It sorts them by name, so that the same ones are dropped every time.
func recorded(headers map[string]string, secret []string) map[string]string {
	out := make(map[string]string, len(headers))
	size := 0
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := headers[name]
		if slices.ContainsFunc(secret, func(s string) bool { return strings.EqualFold(s, name) }) {
			value = redacted
		}
		name, value = webhook.CleanLine(name, maxHeaderValueBytes), webhook.CleanLine(value, maxHeaderValueBytes)
		size += len(name) + len(value)
		if len(out) == maxRecordedHeaders || size > maxRecordedBytes {
			break
		}
		out[name] = value
	}
	return out
}
