package api

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// endpointStats is what an endpoint of a list did within a window, counted in attempts. Tests are left out.
type endpointStats struct {
	Delivered int64 `json:"delivered"`
	Failed    int64 `json:"failed"`
	// SuccessRate is the share of attempts that delivered; left out without attempts.
	SuccessRate *float64 `json:"success_rate,omitempty"`
	// P95 is how long 95 % of the answers took at most, in ms; left out without answers.
	P95    *int64 `json:"p95_ms,omitempty"`
	Series series `json:"series"`
}

// showWithStats returns what shows the endpoints of a page, with their statistics.
func (s *Server) showWithStats(ctx context.Context, c *call, page []webhook.Endpoint, w webhook.StatsWindow) (func(*webhook.Endpoint) endpointView, error) {
	ids := make([]webhook.EndpointID, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	since := w.Since(s.now())
	found, err := s.store.EndpointStats(ctx, c.tenant.ID, ids, since, w.Span)
	if err != nil {
		return nil, err
	}
	return func(e *webhook.Endpoint) endpointView {
		v := c.showEndpoint(e)
		v.Stats = showEndpointStats(w, since, found[e.ID])
		return v
	}, nil
}

// showEndpointStats shows the statistics of an endpoint; nil: it did nothing.
func showEndpointStats(w webhook.StatsWindow, since time.Time, stats *store.EndpointStats) *endpointStats {
	out := &endpointStats{Series: seriesOf(w, since)}
	if stats == nil {
		return out
	}
	for _, span := range stats.Spans {
		out.Delivered += span.Delivered
		out.Failed += span.Attempts - span.Delivered
		out.Series.add(w, span.At, span.Attempts, span.Delivered)
	}
	if attempts := out.Delivered + out.Failed; attempts > 0 {
		out.SuccessRate = new(float64(out.Delivered) / float64(attempts))
	}
	if p95, ok := stats.Durations.Percentile(0.95); ok {
		out.P95 = &p95
	}
	return out
}
