package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"
)

// servePprof serves Go's profiles on a separate address until the context is done.
func servePprof(ctx context.Context, background *sync.WaitGroup, address string, log *slog.Logger) error {
	listener, err := openAddress(ctx, "WAYBILL_PPROF_LISTEN", address)
	if err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/debug/pprof/", pprof.Index)
	routes.HandleFunc("/debug/pprof/profile", pprof.Profile)
	routes.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	routes.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: routes, ReadHeaderTimeout: 10 * time.Second, ErrorLog: errorLog(log)}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	background.Go(func() { _ = server.Serve(listener) }) // ends with the process
	log.Info("profiles are served", "address", listener.Addr().String())
	return nil
}
