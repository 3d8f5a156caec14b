package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// tailEvery is how often a live tail asks the API for the newest page.
	tailEvery = 2 * time.Second
	// tailLasts ends a live tail, so that none lives for ever. The browser opens another by itself.
	tailLasts = 5 * time.Minute
	// tailReturns is when a browser comes back that found no place.
	tailReturns = 15 * time.Second
	// writeWithin is how long a write may take. A browser that reads slower is left.
	writeWithin = 10 * time.Second
	// tailQuiet is after how many rounds without news a comment tells proxies that the connection is used.
	tailQuiet = 8
)

// tailPage is what the browser gets: which lines the newest page has, and those that it does not have in this version.
type tailPage struct {
	Rows []tailRow `json:"rows"`
	Next string    `json:"next,omitempty"`
}

type tailRow struct {
	ID string `json:"id"`
	// HTML is left out where the line is as it was.
	HTML string `json:"html,omitempty"`
}

// tail is a live tail of the log.
type tail struct {
	*call
	out   *http.ResponseController
	names endpointNames
	// sent are the versions of the lines that the browser has.
	sent    map[string]string
	started bool
	quiet   int
}

// tailDeliveries is GET /tenants/{tenant}/deliveries/tail: server-sent events, one for each change of the newest page with the page's
// filters. Each round asks the API anew, with the session's token, so that it ends with the session.
func tailDeliveries(c *call) error {
	t := &tail{call: c, out: http.NewResponseController(c.w), names: endpointNames{}, sent: map[string]string{}}
	if c.r.Method == http.MethodHead {
		return t.start()
	}
	if !c.streams.enter(c.token) {
		return t.write(fmt.Sprintf("retry: %d\nevent: busy\ndata: {}\n\n", tailReturns.Milliseconds()))
	}
	defer c.streams.leave(c.token)
	rounds, ends := time.NewTicker(c.tailEvery), time.NewTimer(tailLasts)
	defer rounds.Stop()
	defer ends.Stop()
	for {
		if on, err := t.round(); err != nil || !on {
			return err
		}
		select {
		case <-c.r.Context().Done():
			return nil
		case <-c.streams.ended:
			return nil
		case <-ends.C:
			return nil
		case <-rounds.C:
		}
	}
}

// round sends what changed. It reports whether there is a next one; an error is one that nothing was sent before.
func (t *tail) round() (on bool, err error) {
	t.now = t.opts.Now().UTC()
	page, changed, err := t.look()
	switch {
	case t.gone(err):
		return false, nil
	case err != nil && !t.started:
		return false, err
	case isStatus(err, http.StatusTooManyRequests), isStatus(err, http.StatusServiceUnavailable):
		return true, nil // the next round may have more luck
	case isStatus(err, http.StatusUnauthorized):
		_ = t.write("event: ended\ndata: {}\n\n") // the browser may have gone
		return false, nil
	case err != nil:
		t.log.Error("a live tail failed", "page", t.pattern(), "error", err)
		return false, nil
	}
	if !changed {
		return t.rest(), nil
	}
	text, err := json.Marshal(page)
	if err != nil {
		return false, fmt.Errorf("write a live tail: %w", err)
	}
	t.quiet = 0
	return t.write("event: page\ndata: "+string(text)+"\n\n") == nil, nil
}

// look reads the newest page. It changed if a line is new, another or gone.
func (t *tail) look() (page tailPage, changed bool, err error) {
	query := t.logQuery()
	query.Del("cursor")
	rows, next, err := t.readLog(query, t.names)
	if err != nil {
		return page, false, err
	}
	sent := make(map[string]string, len(rows))
	changed = !t.started || len(rows) != len(t.sent)
	page.Next = next
	page.Rows = make([]tailRow, len(rows))
	for i := range rows {
		row := tailRow{ID: rows[i].ID.String()}
		sent[row.ID] = rows[i].Version()
		if t.sent[row.ID] != sent[row.ID] {
			changed = true
			if row.HTML, err = t.line(rows[i]); err != nil {
				return page, false, err
			}
		}
		page.Rows[i] = row
	}
	t.sent = sent
	return page, changed, nil
}

// line is a line of the log as the page shows it.
func (t *tail) line(row *logRow) (string, error) {
	var out bytes.Buffer
	err := t.pages["deliveries"].ExecuteTemplate(&out, "delivery-row", map[string]any{"C": t.call, "Row": row})
	return out.String(), err
}

// rest is a round without news.
func (t *tail) rest() bool {
	if t.quiet++; t.quiet < tailQuiet {
		return true
	}
	t.quiet = 0
	return t.write(": nothing new\n\n") == nil
}

// start sends the header. The server's limits of a request are not for this one: reading has ended, and each write has its own limit.
func (t *tail) start() error {
	t.started = true
	h := t.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy must not gather what is to be seen at once
	if err := t.out.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil // the browser has gone
	}
	t.w.WriteHeader(http.StatusOK)
	return nil
}

// write sends a part of the stream now.
func (t *tail) write(text string) error {
	if !t.started {
		if err := t.start(); err != nil {
			return err
		}
	}
	if err := t.out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := t.w.Write([]byte(text)); err != nil {
		return err
	}
	return t.out.Flush()
}
