package activities

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
)

// leastCut is from how many bytes on the beginning of a secret is taken out where a body was cut. Fewer would match by chance, and tell
// next to nothing.
const leastCut = 4

// scrub takes secrets out of an answer that repeats what was sent, because who may read the log may not read them. What replaces them may
// be longer, so that the body is cut again.
func scrub(r *Response, secrets []string) {
	if len(secrets) == 0 {
		return
	}
	all := spellings(secrets)
	for _, secret := range all {
		r.Body = bytes.ReplaceAll(r.Body, []byte(secret), []byte(redacted))
		for _, values := range r.Headers {
			for i := range values {
				values[i] = strings.ReplaceAll(values[i], secret, redacted)
			}
		}
	}
	if r.Truncated {
		r.Body = scrubCut(r.Body, all)
	}
	if len(r.Body) > MaxResponseBody {
		r.Body, r.Truncated = r.Body[:MaxResponseBody], true
	}
}

// scrubCut takes the beginning of a secret out of the end of a body that was cut in the middle of it.
func scrubCut(body []byte, secrets []string) []byte {
	longest := 0
	for _, secret := range secrets {
		for n := min(len(secret)-1, len(body)); n >= leastCut && n > longest; n-- {
			if bytes.HasSuffix(body, []byte(secret[:n])) {
				longest = n
			}
		}
	}
	if longest == 0 {
		return body
	}
	return append(slices.Clip(body[:len(body)-longest]), redacted...)
}

// spellings returns the secrets as answers repeat them: as they are, and as JSON, forms and HTML write them, the longest first, because
// one may be a part of another.
func spellings(secrets []string) []string {
	var all []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		quoted, _ := json.Marshal(secret) // a string always encodes
		inJSON := string(quoted[1 : len(quoted)-1])
		plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(inJSON) // what others leave as it is
		all = append(all, secret, inJSON, plain, strings.ReplaceAll(inJSON, "/", `\/`), strings.ReplaceAll(plain, "/", `\/`),
			url.QueryEscape(secret), html.EscapeString(secret))
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(all)
}
