package api

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// Limits of a page.
const (
	defaultLimit = 50
	maxLimit     = 200
	// maxMembers is how many attributes, or metadata, one request looks for.
	maxMembers = 20
	// maxMemberBytes bounds the name, with its prefix, and the value.
	maxMemberBytes = 300
)

// list is the answer of every list route.
type list[T any] struct {
	Data       []T    `json:"data"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// query reads the parameters of a request and gathers their errors.
type query struct {
	values   url.Values
	problems []webhook.FieldError
}

// newQuery refuses unknown parameters, because a misspelled filter must not select everything. A known name that ends in a dot
// stands for all names that begin with it.
func newQuery(r *http.Request, known ...string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.add("query", "is not well-formed")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		given := values[name]
		switch {
		case !isKnown(known, name):
			q.add(name, "is not a known parameter; "+knownNames(known))
		case len(given) > 1:
			q.add(name, "is given more than once")
		case given[0] == "" && name != "cursor":
			q.add(name, "has no value: leave it out or give it one") // an unset variable must not select everything
		case !isText(given[0]) && name != "cursor" && !isMember(known, name), !isStorable(name+given[0]) && name != "cursor",
			isMember(known, name) && max(len(name), len(given[0])) > maxMemberBytes:
			q.add(name, "is too long or not text")
		}
	}
	return q
}

func isKnown(known []string, name string) bool {
	return slices.Contains(known, name) && !strings.HasSuffix(name, ".") || isMember(known, name)
}

// isMember reports whether name is a known one that ends in a dot, and more.
func isMember(known []string, name string) bool {
	prefix, rest, _ := strings.Cut(name, ".")
	return rest != "" && slices.Contains(known, prefix+".")
}

// members reads the parameters that begin with a prefix, such as "attribute.", by the rest of their names.
func (q *query) members(prefix string) map[string]string {
	out := map[string]string{}
	for name := range q.values {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			out[rest] = q.values.Get(name)
		}
	}
	if len(out) > maxMembers {
		q.add(prefix, fmt.Sprintf("is given %d times; at most %d are looked for", len(out), maxMembers))
	}
	return out
}

// flag reads an optional true or false.
func (q *query) flag(name string) *bool {
	switch q.values.Get(name) {
	case "":
		return nil
	case "true":
		return new(true)
	case "false":
		return new(false)
	default:
		q.add(name, "is true or false")
		return nil
	}
}

// knownNames says which names an object or a query may have.
func knownNames(names []string) string {
	if len(names) == 0 {
		return "none is known here"
	}
	shown := slices.Clone(names)
	for i, name := range shown {
		if strings.HasSuffix(name, ".") {
			shown[i] = name + "NAME"
		}
	}
	return "known are " + strings.Join(shown, ", ")
}

// before refuses a span of time that holds nothing.
func (q *query) before(since, until time.Time) {
	if !until.IsZero() && until.Before(since) {
		q.add("until", "is earlier than since, so that nothing could match")
	}
}

func (q *query) add(name, detail string) {
	if len(q.problems) < webhook.MaxFieldErrors {
		q.problems = append(q.problems, webhook.FieldError{Field: name, Detail: detail})
	}
}

func (q *query) err() error { return invalid("query", q.problems...) }

// id reads an optional id into target.
func (q *query) id(name string, target interface{ UnmarshalText([]byte) error }) {
	if text := q.values.Get(name); text != "" {
		if err := target.UnmarshalText([]byte(text)); err != nil {
			q.add(name, err.Error())
		}
	}
}

func (q *query) time(name string) time.Time {
	text := q.values.Get(name)
	if text == "" {
		return time.Time{}
	}
	at, err := webhook.ParseMoment(text)
	if err != nil {
		q.add(name, err.Error()+plusHint(text))
	}
	return at
}

// plusHint explains a time whose unescaped + was decoded as a space.
func plusHint(text string) string {
	if _, err := webhook.ParseMoment(strings.Replace(text, " ", "+", 1)); err != nil {
		return ""
	}
	return "; in a query + stands for a space: write the + of an offset as %2B"
}

// page reads limit and cursor. check must accept the id in the cursor; nil: any text.
func (q *query) page(check interface{ UnmarshalText([]byte) error }) store.Page {
	p := store.Page{Limit: defaultLimit}
	if text := q.values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			q.add("limit", "is a number from 1 to "+strconv.Itoa(maxLimit))
		} else {
			p.Limit = n
		}
	}
	if text := q.values.Get("cursor"); text != "" {
		id, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || !isText(string(id)) || check != nil && check.UnmarshalText(id) != nil {
			q.add("cursor", "is not a cursor of this list; send next_cursor as it was given")
		}
		p.After = string(id)
	}
	return p
}

// more returns the page with a limit that is larger by one, which tells whether another page follows.
func more(p store.Page) store.Page { return store.Page{After: p.After, Limit: p.Limit + 1} }

// pagedPart is paged for a list whose search may end before the page is full.
func pagedPart[T, V any](part *store.Part[T], p store.Page, id func(*T) string, show func(*T) V) list[V] {
	out := paged(part.Items, p, id, show)
	if out.NextCursor == "" && part.Next != "" {
		out.NextCursor = cursor(part.Next)
	}
	return out
}

func cursor(id string) string { return base64.RawURLEncoding.EncodeToString([]byte(id)) }

// paged cuts items, read with more(p), to the page and shows each one; id gives the cursor.
func paged[T, V any](items []T, p store.Page, id func(*T) string, show func(*T) V) list[V] {
	var out list[V]
	if len(items) > p.Limit {
		items = items[:p.Limit]
		out.NextCursor = cursor(id(&items[p.Limit-1]))
	}
	out.Data = make([]V, len(items))
	for i := range items {
		out.Data[i] = show(&items[i])
	}
	return out
}
