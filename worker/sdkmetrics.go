package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"waybill/workflows"
)

// SDKMetrics exports what an operator looks at of what Temporal's SDK measures, under the names that the SDK's own exporters give it. The
// rest, some hundred series, is left out. Every series is made at the start and found in maps that never change, so the hot path
// waits for no lock and makes no text.
type SDKMetrics struct {
	counters map[string]*sdkSeries[prometheus.Counter]
	gauges   map[string]*sdkSeries[prometheus.Gauge]
	timers   map[string]*sdkSeries[prometheus.Observer]
}

// sdkTag is a tag of the SDK that becomes a label.
type sdkTag int

// The tags. A worker and a poller have a kind.
const (
	tagOperation sdkTag = iota
	tagQueue
	tagWorker
	tagPoller
	tagReason
	numTags
)

// sdkTags are the values of the tags, in their order.
type sdkTags [numTags]string

// sdkLabels are the tags' names in the SDK, and their labels.
var sdkLabels = [numTags]string{"operation", "task_queue", "worker_type", "poller_type", "failure_reason"}

const (
	// other stands for the values of the last label that are not told apart.
	other = "other"
	// sdkPrefix begins the names that the SDK gives its metrics.
	sdkPrefix = "temporal_"
)

// sdkSeries are the series of one metric, by the values of its labels.
type sdkSeries[T any] struct {
	labels []sdkTag
	series map[[2]string]T
}

// of returns the series for the tags; the zero value: there is none.
func (s *sdkSeries[T]) of(tags *sdkTags) (found T) {
	var key [2]string
	for i, l := range s.labels {
		key[i] = tags[l]
	}
	found, ok := s.series[key]
	if !ok && len(s.labels) > 0 {
		key[len(s.labels)-1] = other
		found = s.series[key]
	}
	return found
}

// NewSDKMetrics registers the metrics with r.
func NewSDKMetrics(r prometheus.Registerer) *SDKMetrics {
	m := &SDKMetrics{
		counters: map[string]*sdkSeries[prometheus.Counter]{}, gauges: map[string]*sdkSeries[prometheus.Gauge]{},
		timers: map[string]*sdkSeries[prometheus.Observer]{},
	}
	calls := alone("StartWorkflowExecution", "RespondWorkflowTaskCompleted", "RespondActivityTaskCompleted", other)
	m.counter(r, "request_failure", "Calls to Temporal that failed, by operation.", calls, tagOperation)
	m.counter(r, "long_request_failure", "Polls for tasks that failed.", alone(""))
	m.counter(r, "workflow_task_execution_failed", "Workflow tasks that failed, by reason. NonDeterminismError: this version cannot go on with a workflow.",
		alone("NonDeterminismError", "WorkflowError", other), tagReason)
	m.counter(r, "sticky_cache_hit", "Workflow tasks whose workflow was in the cache.", alone(""))
	m.counter(r, "sticky_cache_miss", "Workflow tasks whose workflow was not in the cache, and was replayed.", alone(""))
	m.timer(r, "request_latency", "Time of a call to Temporal, by operation.", calls, tagOperation)
	m.timer(r, "workflow_task_schedule_to_start_latency", "Time that a workflow task waited for a worker, by task queue.", alone(workflows.TaskQueue, workflows.WideQueue, other), tagQueue)
	m.timer(r, "workflow_task_execution_latency", "Time of a workflow task, with its attempts in the fast lane.", alone(""))
	m.timer(r, "activity_schedule_to_start_latency", "Time that an activity waited for a worker, by task queue.", alone(workflows.IsolatedQueue, other), tagQueue)
	m.gauge(r, "worker_task_slots_available", "Free slots of this process, by task queue and type of worker.", [][2]string{
		{workflows.TaskQueue, "WorkflowWorker"}, {workflows.TaskQueue, "LocalActivityWorker"}, {workflows.EndpointsQueue, "WorkflowWorker"},
		{workflows.WideQueue, "WorkflowWorker"}, {workflows.WideQueue, "LocalActivityWorker"},
		{workflows.IsolatedQueue, "ActivityWorker"}, {workflows.MailQueue, "ActivityWorker"},
	}, tagQueue, tagWorker)
	m.gauge(r, "num_pollers", "Polls of this process for tasks, by task queue and type of poller.", [][2]string{
		{workflows.TaskQueue, "workflow_task"}, {workflows.TaskQueue, "workflow_sticky_task"}, {workflows.EndpointsQueue, "workflow_task"},
		{workflows.EndpointsQueue, "workflow_sticky_task"}, {workflows.IsolatedQueue, "activity_task"}, {workflows.MailQueue, "activity_task"},
		{workflows.WideQueue, "workflow_task"}, {workflows.WideQueue, "workflow_sticky_task"},
	}, tagQueue, tagPoller)
	m.gauge(r, "sticky_cache_size", "Workflows in the cache.", alone(""))
	return m
}

// alone are the values of a single label; "": there is no label.
func alone(values ...string) [][2]string {
	keys := make([][2]string, len(values))
	for i, v := range values {
		keys[i][0] = v
	}
	return keys
}

// names returns the names of labels.
func names(tags []sdkTag) []string {
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = sdkLabels[t]
	}
	return out
}

// seriesOf makes every series of a metric.
func seriesOf[T any](keys [][2]string, labels []sdkTag, make func(values ...string) T) *sdkSeries[T] {
	s := &sdkSeries[T]{labels: labels, series: map[[2]string]T{}}
	for _, key := range keys {
		s.series[key] = make(key[:len(labels)]...)
	}
	return s
}

func (m *SDKMetrics) counter(r prometheus.Registerer, name, help string, keys [][2]string, labels ...sdkTag) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: sdkPrefix + name + "_total", Help: help}, names(labels))
	r.MustRegister(vec)
	m.counters[sdkPrefix+name] = seriesOf(keys, labels, vec.WithLabelValues)
}

func (m *SDKMetrics) gauge(r prometheus.Registerer, name, help string, keys [][2]string, labels ...sdkTag) {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: sdkPrefix + name, Help: help}, names(labels))
	r.MustRegister(vec)
	m.gauges[sdkPrefix+name] = seriesOf(keys, labels, vec.WithLabelValues)
}

func (m *SDKMetrics) timer(r prometheus.Registerer, name, help string, keys [][2]string, labels ...sdkTag) {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: sdkPrefix + name + "_seconds", Help: help, Buckets: []float64{.005, .025, .1, .5, 2.5, 10, 60},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, names(labels))
	r.MustRegister(vec)
	m.timers[sdkPrefix+name] = seriesOf(keys, labels, vec.WithLabelValues)
}

// sdkHandler is what the SDK writes to.
type sdkHandler struct {
	metrics *SDKMetrics
	tags    sdkTags
}

// Handler returns what the SDK's client takes.
func (m *SDKMetrics) Handler() client.MetricsHandler { return &sdkHandler{metrics: m} }

// WithTags implements client.MetricsHandler.
func (h *sdkHandler) WithTags(tags map[string]string) client.MetricsHandler {
	out := *h
	for i, name := range sdkLabels {
		if value, ok := tags[name]; ok {
			out.tags[i] = value
		}
	}
	if out.tags == h.tags {
		return h
	}
	return &out
}

// Counter implements client.MetricsHandler.
func (h *sdkHandler) Counter(name string) client.MetricsCounter {
	if s := h.metrics.counters[name]; s != nil {
		if c := s.of(&h.tags); c != nil {
			return sdkCounter{c}
		}
	}
	return client.MetricsNopHandler.Counter(name)
}

// Gauge implements client.MetricsHandler.
func (h *sdkHandler) Gauge(name string) client.MetricsGauge {
	if s := h.metrics.gauges[name]; s != nil {
		if g := s.of(&h.tags); g != nil {
			return sdkGauge{g}
		}
	}
	return client.MetricsNopHandler.Gauge(name)
}

// Timer implements client.MetricsHandler.
func (h *sdkHandler) Timer(name string) client.MetricsTimer {
	if s := h.metrics.timers[name]; s != nil {
		if o := s.of(&h.tags); o != nil {
			return sdkTimer{o}
		}
	}
	return client.MetricsNopHandler.Timer(name)
}

type sdkCounter struct{ prometheus.Counter }

// Inc implements client.MetricsCounter.
func (c sdkCounter) Inc(n int64) { c.Add(float64(n)) }

type sdkGauge struct{ prometheus.Gauge }

// Update implements client.MetricsGauge.
func (g sdkGauge) Update(value float64) { g.Set(value) }

type sdkTimer struct{ prometheus.Observer }

// Record implements client.MetricsTimer.
func (t sdkTimer) Record(took time.Duration) { t.Observe(took.Seconds()) }
