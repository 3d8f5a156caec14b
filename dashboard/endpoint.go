package dashboard

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"waybill/webhook"
)

// endpointStats is what an endpoint did within a window, as the API tells.
type endpointStats struct {
	Window     string    `json:"window"`
	Since      time.Time `json:"since"`
	Deliveries struct {
		Delivered int64 `json:"delivered"`
		Exhausted int64 `json:"exhausted"`
		Canceled  int64 `json:"canceled"`
		Held      int   `json:"held"`
		Retrying  int   `json:"retrying"`
		Pending   int   `json:"pending"`
	} `json:"deliveries"`
	Attempts    int64    `json:"attempts"`
	SuccessRate *float64 `json:"success_rate"`
	DurationMS  *struct {
		P50 int64 `json:"p50"`
		P95 int64 `json:"p95"`
	} `json:"duration_ms"`
	Series statsSpans `json:"series"`
}

// Waiting is how many deliveries are under way.
func (s *endpointStats) Waiting() int { return s.Deliveries.Pending + s.Deliveries.Retrying }

// endpointPage is what the page of an endpoint shows.
type endpointPage struct {
	Endpoint *endpoint
	Stats    *endpointStats
	Windows  []string
	Policy   policyLine
	Latest   []webhook.Delivery
	// Errors are of the latest failed deliveries, of which there are Failed.
	Errors []errorGroup
	Failed int
	// SignedWith are the fingerprints of the secrets that signed the latest attempt.
	SignedWith []string
	// PublicKeys are what receivers verify with, where the algorithm is Ed25519.
	PublicKeys []string
}

const (
	latestShown   = 10
	failuresShown = 100
)

func (c *call) findEndpoint() (*endpoint, error) {
	var e endpoint
	return &e, c.get(c.path("endpoints", c.part("endpoint")), nil, &e)
}

// findTaggedEndpoint also returns the ETag, for a change of what was read.
func (c *call) findTaggedEndpoint() (*endpoint, string, error) {
	var e endpoint
	etag, err := c.getTagged(c.path("endpoints", c.part("endpoint")), &e)
	return &e, etag, err
}

func (c *call) findEndpointStats(id webhook.EndpointID, window string) (*endpointStats, error) {
	var s endpointStats
	return &s, c.get(c.path("endpoints", id.String(), "stats"), url.Values{"window": {window}}, &s)
}

// showEndpoint is GET .../endpoints/{endpoint}.
func showEndpoint(c *call) error {
	e, err := c.findEndpoint()
	if err != nil {
		return err
	}
	p := endpointPage{Endpoint: e, Policy: newPolicyLine(webhook.RetryPolicyOf(e.Retry, c.Tenant.Retry, c.Dialect))}
	for _, w := range webhook.StatsWindows {
		p.Windows = append(p.Windows, w.Name)
	}
	if p.Stats, err = c.findEndpointStats(e.ID, cmp.Or(c.Query("window"), "24h")); err != nil {
		return err
	}
	if err := p.findDeliveries(c); err != nil {
		return err
	}
	if e.SigningInForce.Algorithm == webhook.Ed25519 {
		if p.PublicKeys, err = c.publicKeys(e); err != nil {
			return err
		}
	}
	return c.show("endpoint", view{
		Title: shorten(120, e.Title()), Section: "endpoints", Data: p, Scripts: []string{"uplot.min.js", "chart.js"}, Styles: []string{"uplot.min.css"},
	})
}

func (c *call) publicKeys(e *endpoint) ([]string, error) {
	var found struct {
		Keys []struct {
			PublicKey string `json:"public_key"`
		} `json:"keys"`
	}
	err := c.get(c.path("endpoints", e.ID.String(), "public-key"), nil, &found)
	keys := make([]string, len(found.Keys))
	for i := range found.Keys {
		keys[i] = found.Keys[i].PublicKey
	}
	return keys, err
}

// findDeliveries finds the latest deliveries, what failed lately, and which secrets signed last.
func (p *endpointPage) findDeliveries(c *call) error {
	id := p.Endpoint.ID.String()
	var latest, failed list[webhook.Delivery]
	if err := c.get(c.path("deliveries"), url.Values{"endpoint": {id}, "limit": {strconv.Itoa(latestShown)}}, &latest); err != nil {
		return err
	}
	p.Latest = latest.Data
	if err := c.get(c.path("deliveries"), url.Values{
		"endpoint": {id}, "status": {"retrying,held,exhausted"}, "test": {"false"}, "limit": {strconv.Itoa(failuresShown)},
	}, &failed); err != nil {
		return err
	}
	p.Errors, p.Failed = groupErrors(failed.Data), len(failed.Data)
	for _, d := range p.Latest {
		if d.Attempts > 0 {
			attempts, err := c.attemptsOf(d.ID.String())
			if err != nil {
				return err
			}
			if len(attempts) > 0 {
				p.SignedWith = attempts[len(attempts)-1].SignedWith
			}
			return nil
		}
	}
	return nil
}

// errorGroup is a kind of failure of an endpoint.
type errorGroup struct {
	Class webhook.ErrorClass
	Code  int
	Count int
	// Text and At are of the latest.
	Text string
	At   time.Time
}

// Query selects its deliveries in the log.
func (g errorGroup) Query(endpoint webhook.EndpointID) string {
	q := url.Values{"endpoint": {endpoint.String()}, "error_class": {string(g.Class)}}
	if g.Code != 0 {
		q.Set("status_code", strconv.Itoa(g.Code))
	}
	return "?" + q.Encode()
}

// groupErrors counts the failures of deliveries, which are the newest first, by class and code; the most frequent come first.
func groupErrors(failed []webhook.Delivery) []errorGroup {
	var groups []errorGroup
	for i := range failed {
		last := failed[i].LastAttempt
		if last == nil || last.ErrorClass == "" {
			continue
		}
		at := slices.IndexFunc(groups, func(g errorGroup) bool { return g.Class == last.ErrorClass && g.Code == last.StatusCode })
		if at < 0 {
			at = len(groups)
			groups = append(groups, errorGroup{Class: last.ErrorClass, Code: last.StatusCode})
		}
		g := &groups[at]
		if g.Count++; last.StartedAt.After(g.At) {
			g.Text, g.At = last.Error, last.StartedAt
		}
	}
	slices.SortStableFunc(groups, func(a, b errorGroup) int { return cmp.Compare(b.Count, a.Count) })
	return groups
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// policyLine is a retry policy drawn as the attempts that it makes.
type policyLine struct {
	Steps []policyStep
	// Total is from the first attempt to the last, without what the attempts themselves take.
	Total         time.Duration
	Jitter        float64
	RetryAfterMax time.Duration
}

// policyStep is an attempt: Gap after the one before it, After the first one.
type policyStep struct {
	Number     int
	Gap, After time.Duration
}

func newPolicyLine(p webhook.RetryPolicy) policyLine {
	line := policyLine{Steps: []policyStep{{Number: 1}}, Jitter: p.Jitter * 100, RetryAfterMax: p.RetryAfterMax.Std()}
	for i, delay := range p.Schedule {
		line.Total += delay.Std()
		line.Steps = append(line.Steps, policyStep{i + 2, delay.Std(), line.Total})
	}
	return line
}
