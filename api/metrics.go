package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/webhook"
)

// kind is what people tell requests apart by: how publishing does, and how all the rest. A series for each route would be a thousand,
// and the log names the route of what failed.
type kind string

const (
	kindPublish   kind = "publish"
	kindBatch     kind = "batch"
	kindRead      kind = "read"
	kindWrite     kind = "write"
	kindOperation kind = "operation" // health and metrics
	kindUnmatched kind = "unmatched" // no route
)

var kinds = []kind{kindPublish, kindBatch, kindRead, kindWrite, kindOperation, kindUnmatched}

// classes are the classes of status.
var classes = []string{"2xx", "3xx", "4xx", "5xx"}

// Paths of requests whose kind is not that of their method.
const (
	publishPath = tenantPath + "/events"
	batchPath   = publishPath + "/batch"
)

// kindOf returns the kind of a request to a route.
func kindOf(method, route string) kind {
	switch {
	case route == unmatched:
		return kindUnmatched
	case method == http.MethodPost && route == publishPath:
		return kindPublish
	case method == http.MethodPost && route == batchPath:
		return kindBatch
	case !strings.HasPrefix(route, "/v1/"):
		return kindOperation
	case method == http.MethodGet || method == http.MethodHead:
		return kindRead
	default:
		return kindWrite
	}
}

// metrics measures the API. Every label has a closed set of values, and every series is made at the start.
type metrics struct {
	of       map[kind]*kindMetrics
	problems map[webhook.Code]prometheus.Counter
}

type kindMetrics struct {
	requests []prometheus.Counter // by class
	duration prometheus.Observer
}

// newMetrics registers the metrics with r, unless it is nil, and creates every label value, so that zero is visible.
func newMetrics(r prometheus.Registerer, bodies *inflight) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_api_requests_total", Help: "HTTP requests answered, by kind of request and class of status.",
	}, []string{"kind", "status"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "waybill_api_request_duration_seconds", Help: "Time to answer an HTTP request, by kind of request.",
		Buckets:                     []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"kind"})
	problems := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_api_problems_total", Help: "Problem documents answered, those within a batch included, by code.",
	}, []string{"code"})
	if r != nil {
		r.MustRegister(requests, duration, problems, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "waybill_api_inflight_bytes", Help: "Bytes of requests that are held until their answer, at least 8 KiB each.",
		}, func() float64 { return float64(bodies.bytes()) }))
	}
	m := &metrics{of: map[kind]*kindMetrics{}, problems: map[webhook.Code]prometheus.Counter{}}
	for _, k := range kinds {
		of := &kindMetrics{duration: duration.WithLabelValues(string(k))}
		for _, class := range classes {
			of.requests = append(of.requests, requests.WithLabelValues(string(k), class))
		}
		m.of[k] = of
	}
	for code := range replies {
		m.problems[code] = problems.WithLabelValues(string(code))
	}
	return m
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	of := m.of[kindOf(method, route)]
	if class := status/100 - 2; class >= 0 && class < len(of.requests) { // else the caller went away before the answer
		of.requests[class].Inc()
	}
	of.duration.Observe(took.Seconds())
}

func (m *metrics) problem(code webhook.Code) {
	if c := m.problems[code]; c != nil {
		c.Inc()
	}
}
