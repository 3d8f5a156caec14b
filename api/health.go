package api

import (
	"context"
	"net/http"
	"time"

	"waybill/webhook"
)

// partTimeout bounds a check of a service that may be down.
const partTimeout = 2 * time.Second

type health struct {
	Status string `json:"status"`
}

type readiness struct {
	Status   string `json:"status"`
	Database string `json:"database"`
	Temporal string `json:"temporal"`
}

// getHealth is GET /healthz: the process is running.
func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request, _ *call) error {
	return writeJSON(w, http.StatusOK, health{Status: "ok"})
}

// getReadiness is GET /readyz. Events are accepted without Temporal, so only the database takes the API out of rotation.
func (s *Server) getReadiness(w http.ResponseWriter, r *http.Request, _ *call) error {
	if err := within(r.Context(), s.store.Ping); err != nil {
		return webhook.Errorf(webhook.CodeUnavailable, "the database does not answer").WithCause(err)
	}
	out := readiness{Status: "ok", Database: "up", Temporal: "up"}
	if err := within(r.Context(), s.engine.Ready); err != nil {
		out.Temporal = "down"
	}
	return writeJSON(w, http.StatusOK, out)
}

// within calls check and waits partTimeout at most.
func within(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	return ask(ctx)
}

// getMetrics is GET /metrics.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request, _ *call) error {
	s.opts.Metrics.ServeHTTP(w, r)
	return nil
}
