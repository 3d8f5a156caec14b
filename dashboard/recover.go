package dashboard

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"waybill/webhook"
)

// recoverPage asks what an endpoint is to get again.
type recoverPage struct {
	form
	Endpoint *endpoint
	Types    []eventType
	// Count is what it would send; nil: nobody counted yet.
	Count *recoveryCount
}

// recoveryCount is how many deliveries a recovery would send.
type recoveryCount struct {
	Matched int64            `json:"matched"`
	ByType  map[string]int64 `json:"by_type"`
}

// Names are the event types of the count, the most frequent first.
func (r *recoveryCount) Names() []string {
	names := slices.Sorted(maps.Keys(r.ByType))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(r.ByType[b], r.ByType[a]) })
	return names
}

func (p *recoverPage) show(c *call) error {
	var err error
	if p.Types, err = c.eventTypes(); err != nil {
		return err
	}
	return c.show("recover", view{Title: "Recover", Section: "recoveries", Status: p.status(), Data: p})
}

// showRecover is GET .../endpoints/{endpoint}/recover. It proposes the time since the endpoint began to fail, or a day.
func showRecover(c *call) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	if !c.Manages() {
		return notFound("This session may look, and not start recoveries.")
	}
	since := c.now.Add(-24 * time.Hour)
	if e.Streak.Since != nil && e.Streak.Since.After(c.now.Add(-webhook.DefaultRetention)) {
		since = *e.Streak.Since
	}
	p := &recoverPage{Endpoint: e, form: newForm(url.Values{
		"since": {since.UTC().Format(formMoment)}, "statuses": {string(webhook.StatusExhausted), string(webhook.StatusCanceled)},
	})}
	return p.show(c)
}

// recoverEndpoint is POST .../endpoints/{endpoint}/recover. It counts, and starts what was counted when that is confirmed.
func recoverEndpoint(c *call) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	p := &recoverPage{Endpoint: e, form: c.posted()}
	in := p.body()
	if p.Value("step") != "start" {
		in["dry_run"] = true
		p.Count = &recoveryCount{}
		err := c.send(http.MethodPost, c.path("recoveries"), in, p.Count)
		if p.refusedBy(err) {
			p.Count, err = nil, nil
		}
		if err != nil {
			return err
		}
		return p.show(c)
	}
	var started webhook.Recovery
	err = c.postOnce(c.path("recoveries"), p.Once, in, &started)
	if p.refusedBy(err) {
		return p.show(c)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href("recoveries", started.ID.String()), "The recovery of %s deliveries runs.", count(started.Matched))
}

// body is the form as the API takes it.
func (p *recoverPage) body() map[string]any {
	in := map[string]any{"endpoint_id": p.Endpoint.ID, "missed": p.Has("missed", "true"), "statuses": append([]string{}, p.Values["statuses"]...)}
	for _, name := range []string{"since", "until"} {
		if value := p.Value(name); value != "" {
			in[name] = inUTC(value)
		}
	}
	if types := slices.Concat(p.Values["event_types"], words(p.Value("other_types"))); len(types) > 0 {
		in["event_types"] = types
	}
	if rate := strings.TrimSpace(p.Value("rate")); rate != "" {
		in["rate"] = number(rate)
	}
	if reason := p.Value("reason"); reason != "" {
		in["reason"] = reason
	}
	return in
}

// Chosen are the fields as they were counted, for the form that confirms them.
func (p *recoverPage) Chosen() []confirmField {
	var out []confirmField
	for _, name := range []string{"since", "until", "statuses", "event_types", "other_types", "missed", "rate", "reason"} {
		for _, value := range p.Values[name] {
			out = append(out, confirmField{Name: name, Value: value})
		}
	}
	return out
}

// Takes is how long the recovery takes at least at the rate that was asked for; 0: it goes at the receiver's pace.
func (p *recoverPage) Takes() time.Duration {
	rate, err := strconv.Atoi(strings.TrimSpace(p.Value("rate")))
	if err != nil || rate < 1 || p.Count == nil {
		return 0
	}
	return max(time.Duration(p.Count.Matched/int64(rate))*time.Second, time.Second)
}
