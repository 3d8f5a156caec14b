package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"waybill/webhook"
)

// etagOf returns a strong ETag of a value as it is shown.
func etagOf(view any) (string, error) {
	shown, err := marshal(view)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(shown)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, nil
}

// endpointETag is the same for every caller, whatever is redacted, and does not change with what attempts change.
func (c *call) endpointETag(e *webhook.Endpoint) (string, error) {
	still := *e
	still.Streak, still.LastSuccessAt, still.LastFailureAt = webhook.Streak{}, nil, nil
	anybody := call{caller: caller{admin: true}, dialect: c.dialect}
	return etagOf(anybody.showEndpoint(&still))
}

func tenantETag(t *webhook.Tenant) (string, error) { return etagOf(showTenant(t)) }

// etags are those that a precondition lists.
type etags struct {
	any  bool // *
	list []string
}

// precondition reads If-Match; nil: the request has none.
func precondition(r *http.Request) (*etags, error) {
	const name = "If-Match"
	given := r.Header.Values(name)
	if len(given) == 0 {
		return nil, nil
	}
	rest := strings.Trim(strings.Join(given, ","), " \t,")
	if rest == "*" {
		return &etags{any: true}, nil
	}
	found := &etags{}
	for rest != "" {
		tag, after, ok := cutETag(rest)
		if !ok {
			return nil, invalid("request", webhook.FieldError{Field: name, Detail: `is * or ETags as they were given, in their quotes, separated by commas`})
		}
		found.list = append(found.list, tag)
		rest = strings.Trim(after, " \t,")
	}
	return found, nil
}

// cutETag returns the ETag that text begins with, and what follows it.
func cutETag(text string) (tag, after string, ok bool) {
	opaque := strings.TrimPrefix(text, "W/")
	if !strings.HasPrefix(opaque, `"`) {
		return "", "", false
	}
	inside, after, ok := strings.Cut(opaque[1:], `"`)
	after = strings.TrimLeft(after, " \t")
	if !ok || after != "" && after[0] != ',' {
		return "", "", false
	}
	return text[:len(text)-len(opaque)] + `"` + inside + `"`, after, true
}

// ifMatch returns the check of a change: it refuses one of a resource with another ETag than the caller knows.
func ifMatch[T any](r *http.Request, etag func(*T) (string, error)) (func(*T) error, error) {
	wanted, err := precondition(r)
	if err != nil {
		return nil, err
	}
	return func(stored *T) error {
		if wanted == nil || wanted.any {
			return nil
		}
		now, err := etag(stored)
		if err != nil {
			return err
		}
		if !slices.Contains(wanted.list, now) {
			return webhook.Errorf(webhook.CodePreconditionFailed, "it was changed since: its ETag is %s; read it again, then decide", now)
		}
		return nil
	}, nil
}

// writeTagged answers with a resource and its ETag.
func writeTagged(w http.ResponseWriter, etag string, view any) error {
	w.Header().Set("ETag", etag)
	return writeJSON(w, http.StatusOK, view)
}

func (s *Server) writeEndpoint(w http.ResponseWriter, c *call, e *webhook.Endpoint) error {
	etag, err := c.endpointETag(e)
	if err != nil {
		return err
	}
	return writeTagged(w, etag, c.showEndpoint(e))
}

func (s *Server) writeTenant(w http.ResponseWriter, t *webhook.Tenant) error {
	etag, err := tenantETag(t)
	if err != nil {
		return err
	}
	return writeTagged(w, etag, showTenant(t))
}
