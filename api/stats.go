package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// statsView is what an endpoint or a tenant did within a window. Tests of endpoints are left out.
type statsView struct {
	Window     string          `json:"window"`
	Since      time.Time       `json:"since"`
	Deliveries deliveryNumbers `json:"deliveries"`
	Attempts   int64           `json:"attempts"`
	// SuccessRate is the share of attempts that delivered; left out without attempts.
	SuccessRate *float64 `json:"success_rate,omitempty"`
	// DurationMS is of the attempts that got an answer; left out where none did.
	DurationMS *percentiles `json:"duration_ms,omitempty"`
	// StatusCodes counts attempts; noAnswer is for those without an answer.
	StatusCodes map[string]int64 `json:"status_codes"`
	Series      series           `json:"series"`
}

// deliveryNumbers counts those that were settled within the window, and those that are not settled now.
type deliveryNumbers struct {
	Delivered int64 `json:"delivered"`
	Exhausted int64 `json:"exhausted"`
	Canceled  int64 `json:"canceled"`
	Held      int   `json:"held"`
	Retrying  int   `json:"retrying"`
	Pending   int   `json:"pending"`
}

type percentiles struct {
	P50 int64 `json:"p50"`
	P95 int64 `json:"p95"`
	P99 int64 `json:"p99"`
}

// statsSpan counts the attempts of a span that begins At.
type statsSpan struct {
	At        time.Time `json:"at"`
	Delivered int64     `json:"delivered"`
	Failed    int64     `json:"failed"`
}

// getTenantStats is GET /v1/tenants/{tenant}/stats.
func (s *Server) getTenantStats(w http.ResponseWriter, r *http.Request, c *call) error {
	return s.writeStats(w, r, c, webhook.EndpointID{})
}

// getEndpointStats is GET /v1/tenants/{tenant}/endpoints/{endpoint}/stats.
func (s *Server) getEndpointStats(w http.ResponseWriter, r *http.Request, c *call) error {
	e, err := s.pathEndpoint(r, c)
	if err != nil {
		return err
	}
	return s.writeStats(w, r, c, e.ID)
}

func (s *Server) writeStats(w http.ResponseWriter, r *http.Request, c *call, endpoint webhook.EndpointID) error {
	window, err := readWindow(r)
	if err != nil {
		return err
	}
	since := window.Since(s.now())
	of := store.StatsOf{TenantID: c.tenant.ID, EndpointID: endpoint}
	if endpoint.IsZero() {
		of.Within = c.confinement()
	}
	cells, err := s.store.Stats(r.Context(), of, since, window.Span)
	if err != nil {
		return err
	}
	open, err := s.store.CountUnsettled(r.Context(), of)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, showStats(window, since, cells, open))
}

// readWindow reads the parameter window; without it the window is a day.
func readWindow(r *http.Request) (webhook.StatsWindow, error) {
	q := newQuery(r, "window")
	return q.window("window", "24h"), q.err()
}

// window reads the name of a window; otherwise is that without the parameter.
func (q *query) window(param, otherwise string) webhook.StatsWindow {
	name := cmp.Or(q.values.Get(param), otherwise)
	i := slices.IndexFunc(webhook.StatsWindows, func(w webhook.StatsWindow) bool { return w.Name == name })
	if i < 0 {
		q.add(param, "is 1h, 24h or 7d")
		return webhook.StatsWindow{}
	}
	return webhook.StatsWindows[i]
}

func showStats(w webhook.StatsWindow, since time.Time, cells []store.StatsCell, open store.Unsettled) statsView {
	out := statsView{
		Window: w.Name, Since: since, StatusCodes: map[string]int64{}, Series: seriesOf(w, since),
		Deliveries: deliveryNumbers{Held: open.Held, Retrying: open.Retrying, Pending: open.Pending},
	}
	var durations webhook.DurationCounts
	for _, cell := range cells {
		out.add(w, &cell)
		if cell.StatusCode != 0 && cell.Duration >= 0 && cell.Duration < len(durations) {
			durations[cell.Duration] += cell.Attempts
		}
	}
	if out.Attempts > 0 {
		out.SuccessRate = new(float64(out.Deliveries.Delivered) / float64(out.Attempts))
	}
	if p50, ok := durations.Percentile(0.50); ok {
		p95, _ := durations.Percentile(0.95)
		p99, _ := durations.Percentile(0.99)
		out.DurationMS = &percentiles{p50, p95, p99}
	}
	return out
}

// add adds a cell, which is not of the durations.
func (v *statsView) add(w webhook.StatsWindow, cell *store.StatsCell) {
	v.Attempts += cell.Attempts
	v.Deliveries.Delivered += cell.Delivered
	v.Deliveries.Exhausted += cell.Exhausted
	v.Deliveries.Canceled += cell.Canceled
	if cell.Attempts > 0 {
		code := noAnswer
		if cell.StatusCode != 0 {
			code = strconv.Itoa(cell.StatusCode)
		}
		v.StatusCodes[code] += cell.Attempts
	}
	v.Series.add(w, cell.At, cell.Attempts, cell.Delivered)
}

// series are the spans of a window, one after the other.
type series []statsSpan

// seriesOf returns the spans of a window that begins at since, empty.
func seriesOf(w webhook.StatsWindow, since time.Time) series {
	out := make(series, w.Spans)
	for i := range out {
		out[i].At = since.Add(time.Duration(i) * w.Span)
	}
	return out
}

// add counts attempts of the span that begins at a moment.
func (s series) add(w webhook.StatsWindow, at time.Time, attempts, delivered int64) {
	// A process whose clock is ahead writes cells of the future: they belong to the present span.
	i := min(int(at.Sub(s[0].At)/w.Span), len(s)-1)
	if i >= 0 {
		s[i].Delivered += delivered
		s[i].Failed += attempts - delivered
	}
}
