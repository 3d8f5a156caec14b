package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// crowd is how many endpoints the first tenant of the log has when pages of the dashboard are asked for.
const crowd = 10_000

// pageWorst is of the slowest page of the dashboard.
const pageWorst metric = "page_worst_p95_ms"

// page is a kind of page of the first tenant, which has half of the log and the crowd of endpoints.
func page(name string, path func(l *lookedUp, n int) string) logKind {
	return logKind{"page: " + name, func(l *lookedUp, _, n int) string { return "/tenants/" + l.log.tenants[0] + path(l, n) }}
}

// pageKinds are the measured pages of the dashboard: those that read what may be much.
func pageKinds() []logKind {
	fixed := func(path string) func(*lookedUp, int) string { return func(*lookedUp, int) string { return path } }
	return []logKind{
		page("overview", fixed("")),
		page("overview of a week", fixed("?window=7d")),
		page("endpoints", fixed("/endpoints")),
		page("endpoints in trouble", fixed("/endpoints?trouble=true")),
		page("search of endpoints", fixed("/endpoints?q=nothing-has-this")),
		page("endpoint", func(l *lookedUp, n int) string { return "/endpoints/" + l.endpoint(0, n) }),
		page("deliveries", fixed("/deliveries")),
		page("deliveries exhausted", fixed("/deliveries?status=exhausted")),
		page("deliveries with code 500", fixed("/deliveries?status_code=500")),
		page("delivery", func(l *lookedUp, n int) string { return "/deliveries/" + l.deliveries[n%len(l.deliveries)] }),
		page("events", fixed("/events")),
		page("event", func(l *lookedUp, n int) string { return "/events/" + l.events[n%len(l.events)] }),
		page("event types", fixed("/event-types")),
		page("recoveries", fixed("/recoveries")),
		page("keys", fixed("/keys")),
		page("audit", fixed("/audit")),
		page("settings", fixed("/settings")),
		page("a new endpoint", fixed("/new-endpoint")),
	}
}

// askPages adds how long pages of the dashboard take, one after the other. An earlier version has none.
func (r *rig) askPages(ctx context.Context, f figures, s *storedLog, share float64) error {
	if has, err := r.api.signIn(ctx); err != nil || !has {
		return err
	}
	if !s.crowded {
		if err := r.addCrowd(ctx, s.tenants[0], r.opts.scaled(crowd, 1)); err != nil {
			return fmt.Errorf("add endpoints: %w", err)
		}
		s.crowded = true
	}
	found, err := r.lookUp(ctx, s)
	if err != nil {
		return err
	}
	for _, kind := range pageKinds() {
		took, err := r.ask(ctx, max(1, int(logQueries*share)), func(n int) string { return kind.path(found, 0, n) })
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		slices.Sort(took)
		f[logP50Of(kind.name)] = milliseconds(percentile(took, 50))
		f[logP95Of(kind.name)] = milliseconds(percentile(took, 95))
		f[pageWorst] = max(f[pageWorst], f[logP95Of(kind.name)])
	}
	return nil
}

// addCrowd gives a tenant so many endpoints that nothing was ever sent to.
func (r *rig) addCrowd(ctx context.Context, tenant string, n int) error {
	limits := map[string]any{"limits": map[string]any{"endpoints": crowd}}
	if err := r.api.call(ctx, http.MethodPatch, "/v1/tenants/"+tenant, limits, nil); err != nil {
		return err
	}
	var adding errgroup.Group
	adding.SetLimit(8)
	for i := range n - logEndpoints {
		adding.Go(func() error {
			_, err := r.api.createEndpoint(ctx, tenant, fmt.Sprintf("https://receiver-%d.example/hook", i))
			return err
		})
	}
	return adding.Wait()
}

// signIn gives the client a session of the dashboard, once; false: this version of Waybill has no dashboard.
func (c *apiClient) signIn(ctx context.Context) (bool, error) {
	if c.http.Jar != nil {
		return true, nil
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return false, err
	}
	c.http.Jar = jar
	body := strings.NewReader(url.Values{"key": {c.key}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/sign-in", body)
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.http.Do(req)
	if err != nil {
		return false, fmt.Errorf("sign in: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusNotFound {
		c.http.Jar = nil
		return false, nil
	}
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("sign in: the dashboard answered %s", res.Status)
	}
	return true, nil
}
