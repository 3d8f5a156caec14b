package main

import "net/url"

// logKind is a kind of query of the log: the path of the n-th, of a tenant where it matters which.
type logKind struct {
	name string
	path func(l *lookedUp, tenant, n int) string
}

// deliveriesBy is a kind of list of deliveries with the same filter each time.
func deliveriesBy(name, query string) logKind {
	return logKind{name, func(l *lookedUp, tenant, _ int) string { return l.deliveriesOf(tenant, query) }}
}

// deliveriesOfEndpoint is deliveriesBy for an endpoint, another each time.
func deliveriesOfEndpoint(name, query string) logKind {
	return logKind{name, func(l *lookedUp, tenant, n int) string {
		return l.deliveriesOf(tenant, "endpoint="+l.endpoint(tenant, n)+query)
	}}
}

func eventsBy(name, query string) logKind {
	return logKind{name, func(l *lookedUp, tenant, _ int) string { return l.eventsOf(tenant, query) }}
}

func statsOf(window string) []logKind {
	return []logKind{
		{"tenant's stats " + window, func(l *lookedUp, tenant, _ int) string { return l.tenant(tenant) + "/stats?window=" + window }},
		{"endpoint's stats " + window, func(l *lookedUp, tenant, n int) string {
			return l.tenant(tenant) + "/endpoints/" + l.endpoint(tenant, n) + "/stats?window=" + window
		}},
	}
}

// logKinds are the measured queries. Nothing is retrying and nothing failed for want of a name, which takes longest to find out;
// few events are of the rare type, and one in a thousand has the rare attribute.
func logKinds() []logKind {
	kinds := []logKind{
		deliveriesBy("newest", ""),
		{"page", func(l *lookedUp, _, n int) string {
			return l.deliveriesOf(0, "cursor="+url.QueryEscape(l.cursors[n%len(l.cursors)]))
		}},
		{"hour", func(l *lookedUp, tenant, n int) string { return l.deliveriesOf(tenant, l.hour(n)) }},
		deliveriesBy("exhausted", "status=exhausted"),
		deliveriesBy("retrying", "status=retrying"),
		deliveriesBy("two statuses", "status=exhausted,canceled"),
		deliveriesBy("four statuses", "status=pending,retrying,held,exhausted"),
		deliveriesBy("delivered and held", "status=delivered,held"),
		deliveriesBy("type", "event_type="+secondType),
		deliveriesBy("rare type", "event_type="+rareType),
		deliveriesBy("rare type, exhausted", "status=exhausted&event_type="+rareType),
		deliveriesBy("code 500", "status_code=500"),
		deliveriesBy("code 200", "status_code=200"),
		deliveriesBy("code 500 of rare type", "status_code=500&event_type="+rareType),
		deliveriesBy("no answer", "status_code=none"),
		deliveriesBy("error class", "error_class=timeout"),
		deliveriesBy("error class of none", "error_class=dns"),
		deliveriesBy("tests", "test=true"),
		deliveriesBy("all but tests", "test=false"),
		deliveriesBy("tests exhausted", "test=true&status=exhausted"),
		deliveriesOfEndpoint("endpoint", ""),
		deliveriesOfEndpoint("endpoint, exhausted", "&status=exhausted"),
		deliveriesOfEndpoint("endpoint, unsent or held", "&status=exhausted,canceled,held"),
		deliveriesOfEndpoint("endpoint, retrying", "&status=retrying"),
		deliveriesOfEndpoint("endpoint, pending", "&status=pending"),
		deliveriesOfEndpoint("endpoint, rare type", "&event_type="+rareType),
		deliveriesOfEndpoint("endpoint, code 500", "&status_code=500"),
		deliveriesOfEndpoint("endpoint, error class", "&error_class=timeout"),
		{"endpoint, hour", func(l *lookedUp, tenant, n int) string {
			return l.deliveriesOf(tenant, "endpoint="+l.endpoint(tenant, n)+"&"+l.hour(n))
		}},
		{"event's deliveries", func(l *lookedUp, _, n int) string {
			return l.tenant(0) + "/events/" + l.events[n%len(l.events)] + "/deliveries"
		}},
		{"attempts", func(l *lookedUp, _, n int) string { return l.attemptsOf(l.deliveries[n%len(l.deliveries)]) }},
		{"attempt", func(l *lookedUp, _, n int) string { return l.attempts[n%len(l.attempts)] }},
		{"event", func(l *lookedUp, _, n int) string { return l.tenant(0) + "/events/" + l.events[n%len(l.events)] }},
		{"history", func(l *lookedUp, _, n int) string {
			return l.tenant(0) + "/events/" + l.events[n%len(l.events)] + "/history"
		}},
		eventsBy("events", ""),
		{"events, page", func(l *lookedUp, _, n int) string {
			return l.eventsOf(0, "cursor="+url.QueryEscape(l.eventCursors[n%len(l.eventCursors)]))
		}},
		{"events, hour", func(l *lookedUp, tenant, n int) string { return l.eventsOf(tenant, l.hour(n)) }},
		eventsBy("events, type", "type="+secondType),
		eventsBy("events, rare type", "type="+rareType),
		eventsBy("events, tests", "test=true"),
		eventsBy("events, attribute", "attribute.region=nz"),
		eventsBy("events, rare attribute", "attribute.region="+rareRegion),
		eventsBy("events, rare metadata", "metadata.order=7"),
	}
	for _, window := range []string{"1h", "24h", "7d"} {
		kinds = append(kinds, statsOf(window)...)
	}
	return kinds
}
