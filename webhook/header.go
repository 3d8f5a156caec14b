package webhook

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	headerPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
	// reservedHeader are headers that describe the message, the connection or the route, which only the sender knows.
	reservedHeader = regexp.MustCompile(`(?i)^(host|content-length|content-type|content-encoding|user-agent|accept-encoding|expect|` +
		`connection|keep-alive|te|trailer|transfer-encoding|upgrade|http2-settings|proxy-.*|via|forwarded|x-forwarded-.*|content-digest|signature|signature-input)$`)
)

// IsHeaderName reports whether HTTP takes the text for the name of a header, of at most 128 bytes.
func IsHeaderName(text string) bool { return headerPattern.MatchString(text) }

// validateHeaders refuses every custom header that would not arrive unchanged over both HTTP/1.1 and HTTP/2, or that a
// receiver could mistake for a header of Waybill.
func (e *Endpoint) validateHeaders(l Limits, found *problems) {
	d := l.Dialect
	if len(e.Headers) > d.Endpoints.MaxHeaders {
		found.addf("headers", "has %d custom headers; the dialect %s allows %d", len(e.Headers), d.Name, d.Endpoints.MaxHeaders)
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		field, value, lower := "headers."+name, e.Headers[name], strings.ToLower(name)
		switch {
		case seen[lower]:
			found.addf(field, "is there twice; upper and lower case do not differ")
		case !IsHeaderName(name):
			found.addf(field, "is not a header name")
		case reservedHeader.MatchString(name) || d.sets(name):
			found.addf(field, "is set by Waybill and cannot be replaced")
		case l.ReservedHeaders[lower]:
			found.addf(field, "signs or names a delivery in another dialect, so that a receiver could be misled")
		case len(value) > maxHeaderBytes || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			found.addf(field, "is printable ASCII, at most %d bytes", maxHeaderBytes)
		case strings.TrimSpace(value) != value:
			found.addf(field, "begins or ends with a space, which would not arrive")
		case lower == "cookie" && !joinsAsWritten(value):
			found.addf(field, `separates cookies by "; ", as HTTP/2 joins them again`)
		}
		seen[lower] = true
	}
}

// joinsAsWritten reports whether a cookie header arrives unchanged over HTTP/2, which sends cookies one by one (RFC 9113,
// section 8.2.3).
func joinsAsWritten(cookies string) bool {
	for cookie := range strings.SplitSeq(cookies, "; ") {
		if cookie != strings.TrimSpace(cookie) || strings.Contains(cookie, ";") || cookie == "" && cookies != "" {
			return false
		}
	}
	return true
}

// sets reports whether the dialect itself sends the header.
func (d *Dialect) sets(header string) bool {
	for name := range d.Headers {
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return slices.ContainsFunc(d.Signatures, func(s Signature) bool { return strings.EqualFold(s.Header, header) })
}

// ReservedHeaders returns, in lower case, the headers with which receivers of any of the dialects verify or identify
// deliveries: signatures, and values that differ between deliveries.
func ReservedHeaders(dialects map[string]*Dialect) map[string]bool {
	out := map[string]bool{}
	for _, d := range dialects {
		for _, s := range d.Signatures {
			out[strings.ToLower(s.Header)] = true
		}
		for name, value := range d.Headers {
			if isTemplate(value) {
				out[strings.ToLower(name)] = true
			}
		}
	}
	return out
}

// leastHeaderSecret is from how many bytes on a custom header's value counts as a secret where an answer repeats it. Shorter ones would
// match by chance.
const leastHeaderSecret = 16

// HeaderSecrets returns the values of custom headers that must not be shown, where an answer repeats them: those that are long enough for
// a key, and are not of a header that only says which answer is wanted.
func (e *Endpoint) HeaderSecrets() []string {
	var found []string
	for name, value := range e.Headers {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "accept") || lower == "cache-control" {
			continue
		}
		if lower == "authorization" {
			value = strings.TrimSpace(value[strings.IndexByte(value, ' ')+1:]) // without the scheme, if it has one
		}
		if len(value) >= leastHeaderSecret {
			found = append(found, value)
		}
	}
	return found
}
