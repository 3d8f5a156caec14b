package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"waybill/activities"
	"waybill/api"
	"waybill/schemas"
)

// serveAPI answers HTTP until the context is done, and then lets the requests under way finish.
func (p *process) serveAPI(ctx context.Context) error {
	handler := api.New(api.Options{
		Store: p.store, Engine: p.engine, Schemas: p.catalogue, Dialects: p.catalogue.dialects,
		AdminKey: p.APIKey, AllowHTTP: p.AllowHTTP,
		CheckHost:    func(host string) error { return activities.CheckHost(host, p.allowCIDRs) },
		MaxBodyBytes: p.MaxBodyBytes, MaxBatchBytes: p.MaxBatchBytes,
		OpenAPI: schemas.OpenAPI, Metrics: promhttp.HandlerFor(p.metrics, promhttp.HandlerOpts{}), Registerer: p.metrics,
		Failpoint: p.failpoint, Logger: p.log,
	})
	defer handler.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Listen)
	if err != nil {
		return fmt.Errorf("WAYBILL_LISTEN: %w", err)
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: p.HeaderTimeout, ReadTimeout: p.ReadTimeout, WriteTimeout: p.ReadTimeout + 30*time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	p.log.Info("the API listens", "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	p.log.Info("stopping", "within", p.DrainTimeout.String())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("finish the requests under way: %w", err), server.Close())
	}
	return nil
}
