package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"waybill/api"
	"waybill/schemas"
)

// serveAPI serves the HTTP API until the context is done.
func (p *process) serveAPI(ctx context.Context, listener net.Listener, backlog api.Backlog) error {
	options := p.operationOptions()
	options.Schemas, options.Dialects, options.Operational = p.catalogue, p.catalogue.dialects, p.catalogue.operational
	options.AdminKeys, options.AllowHTTP = p.adminKeys, p.AllowHTTP
	options.KeyRate, options.TrustedProxies = p.KeyRate, p.trustedProxies
	options.CheckAddress, options.EgressAddresses = p.rules.Check, p.rules.Own
	options.Backlog, options.Tracer = backlog, p.tracer
	options.MaxBodyBytes, options.MaxBatchBytes, options.MaxInflightBytes = p.MaxBodyBytes, p.MaxBatchBytes, p.MaxInflightBytes
	options.Retention, options.PublicURL = p.Retention, p.PublicURL
	options.Version = thisBuild().Version
	options.OpenAPI, options.Failpoint = schemas.OpenAPI, p.failpoint
	options.Now, options.NewUUID = p.clock.now, p.clock.newUUID
	server := api.New(options)
	defer server.Close()
	pages, err := p.newDashboard(server)
	if err != nil {
		return err
	}
	defer pages.Close()
	defer context.AfterFunc(ctx, pages.EndStreams)() // what goes on by itself must not keep the process from stopping
	return p.answer(ctx, listener, besides(server, pages), "the API listens")
}

// serveOperation serves the health and the metrics of a process without the API until the context is done.
func (p *process) serveOperation(ctx context.Context, listener net.Listener) error {
	server := api.NewOperation(p.operationOptions())
	defer server.Close()
	return p.answer(ctx, listener, server, "health and metrics are served")
}

// operationOptions are what health and metrics need.
func (p *process) operationOptions() api.Options {
	o := api.Options{Store: p.store, Engine: p.engine, Registerer: p.metrics, Logger: p.log}
	if p.MetricsListen == "" {
		o.Metrics = p.metrics.handler()
	}
	return o
}

// answer serves a listener until the context is done, and then lets open requests finish, for their share of the time to stop.
func (p *process) answer(ctx context.Context, listener net.Listener, handler http.Handler, says string) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: p.HeaderTimeout, ReadTimeout: p.ReadTimeout, WriteTimeout: p.ReadTimeout + 30*time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: errorLog(p.log),
	}
	p.log.Info(says, "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	if err := server.Shutdown(p.stop.requests); err != nil {
		p.log.Warn("requests were still under way", "error", err)
		return server.Close()
	}
	return nil
}
