package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// logPages is how deep a person pages.
const logPages = 20

// lookedUp is what queries of the log name.
type lookedUp struct {
	log *storedLog
	// The others are the first tenant's.
	cursors, eventCursors []string
	deliveries, attempts  []string
	events                []string
	now                   time.Time
}

type logPage struct {
	Data []struct {
		ID      string `json:"id"`
		EventID string `json:"event_id"`
	} `json:"data"`
	Next string `json:"next_cursor"`
}

// lookUp pages through the newest deliveries, the exhausted ones and the newest events.
func (r *rig) lookUp(ctx context.Context, s *storedLog) (*lookedUp, error) {
	l := &lookedUp{log: s, now: time.Now().UTC()}
	read := func(path string, see func(logPage)) (string, error) {
		var page logPage
		err := r.api.call(ctx, http.MethodGet, path, nil, &page)
		see(page)
		return page.Next, err
	}
	deliveries := func(page logPage) {
		for _, d := range page.Data {
			l.deliveries, l.events = append(l.deliveries, d.ID), append(l.events, d.EventID)
		}
	}
	if _, err := read(l.deliveriesOf(0, "status=exhausted"), deliveries); err != nil {
		return nil, err
	}
	for _, list := range []struct {
		path    string
		see     func(logPage)
		cursors *[]string
	}{
		{l.deliveriesOf(0, ""), deliveries, &l.cursors}, {l.eventsOf(0, ""), func(logPage) {}, &l.eventCursors},
	} {
		next, err := read(list.path, list.see)
		for ; err == nil && next != "" && len(*list.cursors) < logPages; next, err = read(list.path+"cursor="+url.QueryEscape(next), list.see) {
			*list.cursors = append(*list.cursors, next)
		}
		if err == nil && len(*list.cursors) == 0 {
			err = errors.New("the log has no second page")
		}
		if err != nil {
			return nil, err
		}
	}
	for _, d := range l.deliveries[:min(len(l.deliveries), 50)] {
		_, err := read(l.attemptsOf(d), func(page logPage) {
			for _, a := range page.Data {
				l.attempts = append(l.attempts, l.attemptsOf(d)+"/"+a.ID)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *lookedUp) tenant(n int) string { return "/v1/tenants/" + l.log.tenants[n] }

func (l *lookedUp) deliveriesOf(tenant int, query string) string {
	return l.tenant(tenant) + "/deliveries?" + query
}

func (l *lookedUp) eventsOf(tenant int, query string) string {
	return l.tenant(tenant) + "/events?" + query
}

func (l *lookedUp) attemptsOf(delivery string) string {
	return l.tenant(0) + "/deliveries/" + delivery + "/attempts"
}

// endpoint is one of a tenant's, another each time.
func (l *lookedUp) endpoint(tenant, n int) string {
	endpoints := l.log.endpoints[tenant]
	return endpoints[n%len(endpoints)]
}

// hour is an hour of the past, another each time.
func (l *lookedUp) hour(n int) string {
	until := l.now.Add(-time.Duration(n) * 13 * time.Hour)
	return fmt.Sprintf("since=%s&until=%s", moment(until.Add(-time.Hour)), moment(until))
}

func moment(at time.Time) string { return url.QueryEscape(at.Format(time.RFC3339)) }

// query is the n-th of a kind. Every other is about the first tenant, which has the most by far.
func (l *lookedUp) query(kind logKind, n int) string {
	tenant := 0
	if n%2 == 1 {
		tenant = 1 + n/2%(len(l.log.tenants)-1)
	}
	return kind.path(l, tenant, n)
}
