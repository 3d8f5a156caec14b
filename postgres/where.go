package postgres

import (
	"fmt"
	"strings"
	"time"

	"waybill/store"
)

// where gathers conditions and their arguments.
type where struct {
	text []string
	args []any
}

// arg adds an argument and returns its placeholder.
func (w *where) arg(value any) string {
	w.args = append(w.args, value)
	return fmt.Sprintf("$%d", len(w.args))
}

// and adds a condition, where each %s is the placeholder of the value in its place.
func (w *where) and(condition string, values ...any) {
	places := make([]any, len(values))
	for i, v := range values {
		places[i] = w.arg(v)
	}
	w.text = append(w.text, fmt.Sprintf(condition, places...))
}

// take returns the conditions so far, joined, and begins anew with the same arguments. Without a condition it is "true".
func (w *where) take() string {
	text := strings.Join(w.text, " AND ")
	w.text = nil
	if text == "" {
		return "true"
	}
	return text
}

// searched is how many rows a list looks at in one call where its filters are no index's: that takes well under 50 ms.
const searched = 5000

// found is what a list adds to each row: whether it passes the filters that no index serves, and which one it is of those that
// were looked at.
type found struct {
	Matches bool `db:"matches"`
	Looked  int  `db:"looked"`
}

func (f *found) outcome() found { return *f }

// partOf returns the rows of a search that match, and where it ended if it looked at no more.
func partOf[R, T any, P interface {
	*R
	outcome() found
}](rows []R, id func(*R) string, read func(*R) (*T, error)) (*store.Part[T], error) {
	out := new(store.Part[T])
	for i := range rows {
		f := P(&rows[i]).outcome()
		if f.Matches {
			item, err := read(&rows[i])
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, *item)
		}
		if f.Looked == searched {
			out.Next = id(&rows[i])
		}
	}
	return out, nil
}

// searchQuery returns a query for the rows of sources that pass the filter, newest first, at most limit (a placeholder). Sources are
// queries of columns, each in the order of an index that serves all its conditions. The row at which the search ends is
// part of the answer even where it does not pass.
func searchQuery(columns string, sources []string, filter, limit string) string {
	return orderedQuery("id DESC", columns, sources, filter, limit)
}

// upQuery is searchQuery for a list by id.
func upQuery(columns, source, filter, limit string) string {
	return orderedQuery("id", columns, []string{source}, filter, limit)
}

func orderedQuery(order, columns string, sources []string, filter, limit string) string {
	for i, source := range sources {
		sources[i] = fmt.Sprintf("(%s ORDER BY %s LIMIT %d)", source, order, searched)
	}
	return fmt.Sprintf(`
		SELECT %s, coalesce(%s, false) AS matches, looked FROM (
			SELECT *, row_number() OVER (ORDER BY %[6]s) AS looked FROM (%[3]s) AS sources ORDER BY %[6]s LIMIT %[4]d
		) AS searched WHERE %[2]s OR looked = %[4]d ORDER BY %[6]s LIMIT %[5]s`,
		columns, filter, strings.Join(sources, " UNION ALL "), searched, limit, order)
}

// contains adds a condition: one of the columns contains the text, in upper or lower case.
func (w *where) contains(text string, columns ...string) {
	place := w.arg(text)
	either := make([]string, len(columns))
	for i, column := range columns {
		either[i] = fmt.Sprintf("strpos(lower(%s), lower(%s)) > 0", column, place)
	}
	w.text = append(w.text, "("+strings.Join(either, " OR ")+")")
}

// idSlack is how far the moment inside a delivery's id may be from created_at: the time between the reading of a
// publication and its transaction, and the difference of the clocks that wrote the two.
const idSlack = 5 * time.Minute

// auditSlack is how far the moment inside the id of an audit entry may be from its at: UUIDs of one process increase, so that one may
// be ahead of the clock.
const auditSlack = time.Second

// clampTime keeps a bound within the times that a UUIDv7 can express, without changing which rows it selects.
func clampTime(at time.Time) time.Time {
	first, last := time.Unix(0, 0).UTC(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	switch {
	case at.Before(first):
		return first
	case at.After(last):
		return last
	default:
		return at
	}
}
