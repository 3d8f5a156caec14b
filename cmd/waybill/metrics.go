package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// registry holds the metrics of a process.
type registry struct {
	*prometheus.Registry
	log *slog.Logger
}

// newRegistry returns a registry with what every process exports.
func newRegistry(log *slog.Logger) *registry {
	r := &registry{prometheus.NewRegistry(), log}
	this := thisBuild()
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "waybill_build_info", Help: "1, with the version and the revision of this process, and the version of its Go.",
	}, []string{"version", "revision", "goversion"})
	info.WithLabelValues(cmp.Or(this.Version, "unknown"), cmp.Or(this.Revision, "unknown"), this.Go).Set(1)
	r.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// MustRegister registers collectors. One that is registered already stays, and the log says so: a metric is no reason to end a process.
func (r *registry) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		err := r.Register(c)
		if twice := (prometheus.AlreadyRegisteredError{}); errors.As(err, &twice) {
			r.log.Error("a metric is registered twice; the second is not exported", "error", err)
		} else if err != nil {
			panic(err) // a name that is no name: every start would fail
		}
	}
}

// handler answers a scrape. A metric that cannot be read is left out of the answer.
func (r *registry) handler() http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: scrapeLog{r.log}, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes,
	})
}

// maxScrapes bounds how many scrapes are answered at the same time.
const maxScrapes = 4

type scrapeLog struct{ *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) { l.Error("metrics cannot be read", "error", fmt.Sprint(v...)) }

// serveMetrics serves /metrics at an address of their own until the context is done.
func (p *process) serveMetrics(ctx context.Context, background *sync.WaitGroup) error {
	listener, err := openAddress(ctx, "WAYBILL_METRICS_LISTEN", p.MetricsListen)
	if err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", p.metrics.handler())
	server := &http.Server{
		Handler: routes, ReadHeaderTimeout: p.HeaderTimeout, ReadTimeout: p.ReadTimeout, WriteTimeout: p.ReadTimeout + 30*time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: errorLog(p.log),
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	background.Go(func() { _ = server.Serve(listener) }) // ends with the process
	p.log.Info("metrics are served", "address", listener.Addr().String())
	return nil
}
