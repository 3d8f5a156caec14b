package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/webhook"
)

// metrics measures the API. Every label has a closed set of values: route templates, never paths; classes of status.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	problems *prometheus.CounterVec
	methods  []string
}

// newMetrics registers the metrics with r, unless it is nil, and creates every label value, so that zero is visible.
func newMetrics(r prometheus.Registerer, routes []route, bodies *inflight) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_api_requests_total", Help: "HTTP requests answered, by route template and class of status.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "waybill_api_request_duration_seconds", Help: "Time to answer an HTTP request, by route template.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_api_problems_total", Help: "Problem documents answered, those within a batch included, by code.",
		}, []string{"code"}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.duration, m.problems, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_api_inflight_bytes", Help: "Bytes of request bodies that are held until their answer.",
		}, func() float64 { return float64(bodies.bytes()) }))
	}
	for _, rt := range routes {
		m.methods = append(m.methods, rt.method)
		m.duration.WithLabelValues(rt.method, rt.path)
		for _, class := range []string{"2xx", "4xx", "5xx"} {
			m.requests.WithLabelValues(rt.method, rt.path, class)
		}
	}
	for code := range replies {
		m.problems.WithLabelValues(string(code))
	}
	return m
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	if !slices.Contains(m.methods, method) {
		method = "other" // the caller chooses the method and could send a new one each time
	}
	m.requests.WithLabelValues(method, route, fmt.Sprintf("%dxx", status/100)).Inc()
	m.duration.WithLabelValues(method, route).Observe(took.Seconds())
}

func (m *metrics) problem(code webhook.Code) { m.problems.WithLabelValues(string(code)).Inc() }
