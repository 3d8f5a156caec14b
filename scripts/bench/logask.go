package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// logKinds are the measured queries. There are no retrying deliveries, which takes longest to find out, and few of a rare
// type.
func logKinds() []string {
	return []string{"newest", "page", "endpoint", "exhausted", "retrying", "type", "rare", "hour", "attempts"}
}

// logPages is how deep a person pages.
const logPages = 20

// lookedUp is what queries of the log name.
type lookedUp struct {
	log *storedLog
	// cursors and deliveries are the first tenant's.
	cursors, deliveries []string
	now                 time.Time
}

type logPage struct {
	Data []struct {
		ID string `json:"id"`
	} `json:"data"`
	Next string `json:"next_cursor"`
}

// lookUp pages through the newest deliveries and the exhausted ones.
func (r *rig) lookUp(ctx context.Context, s *storedLog) (*lookedUp, error) {
	l := &lookedUp{log: s, now: time.Now().UTC()}
	read := func(query string) (string, error) {
		var page logPage
		err := r.api.call(ctx, http.MethodGet, l.list(0)+query, nil, &page)
		for _, d := range page.Data {
			l.deliveries = append(l.deliveries, d.ID)
		}
		return page.Next, err
	}
	if _, err := read("?status=exhausted"); err != nil {
		return nil, err
	}
	next, err := read("")
	for ; err == nil && next != "" && len(l.cursors) < logPages; next, err = read("?cursor=" + url.QueryEscape(next)) {
		l.cursors = append(l.cursors, next)
	}
	if err == nil && len(l.cursors) == 0 {
		err = errors.New("the log has no second page")
	}
	return l, err
}

// list is the path of a tenant's deliveries.
func (l *lookedUp) list(tenant int) string {
	return "/v1/tenants/" + l.log.tenants[tenant] + "/deliveries"
}

// query is the n-th of a kind. Every other is about the first tenant, which has the most by far.
func (l *lookedUp) query(kind string, n int) string {
	tenant := 0
	if n%2 == 1 {
		tenant = 1 + n/2%(len(l.log.tenants)-1)
	}
	path := l.list(tenant)
	switch kind {
	case "page":
		return l.list(0) + "?cursor=" + url.QueryEscape(l.cursors[n%len(l.cursors)])
	case "endpoint":
		endpoints := l.log.endpoints[tenant]
		return path + "?endpoint=" + endpoints[n%len(endpoints)]
	case "exhausted", "retrying":
		return path + "?status=" + kind
	case "type":
		return path + "?event_type=" + secondType
	case "rare":
		return path + "?event_type=" + rareType
	case "hour":
		until := l.now.Add(-time.Duration(n) * 13 * time.Hour)
		return fmt.Sprintf("%s?since=%s&until=%s", path, moment(until.Add(-time.Hour)), moment(until))
	case "attempts":
		return l.list(0) + "/" + l.deliveries[n%len(l.deliveries)] + "/attempts"
	default:
		return path
	}
}

func moment(at time.Time) string { return url.QueryEscape(at.Format(time.RFC3339)) }
