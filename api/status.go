package api

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"waybill/store"
)

// countedMost is how far a backlog without a limit is counted.
const countedMost = 1_000_000

// status is how the whole of Waybill does. What the database has to tell is left out while it does not answer.
type status struct {
	Version  string        `json:"version"`
	Backlog  backlogStatus `json:"backlog"`
	Database partStatus    `json:"database"`
	Temporal partStatus    `json:"temporal"`
	// Quarantined and SetAside wait for a person.
	Quarantined *int `json:"quarantined,omitempty"`
	SetAside    *int `json:"set_aside,omitempty"`
}

// backlogStatus is what was accepted and is not dispatched.
type backlogStatus struct {
	Events   *int       `json:"events,omitempty"`
	OldestAt *time.Time `json:"oldest_at,omitempty"`
	// Limit is 0 where there is none.
	Limit int `json:"limit"`
}

// partStatus says whether a service that Waybill needs answers.
type partStatus struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// getStatus is GET /v1/status. It answers 200 whatever is wrong, because it is what people look at then.
func (s *Server) getStatus(w http.ResponseWriter, r *http.Request, _ *call) error {
	limit := s.backlog.Limit() // of one tenant; all together have twice as many waiting at most
	out := status{Version: s.opts.Version, Backlog: backlogStatus{Limit: limit}}
	var waiting *store.Waiting
	var asked sync.WaitGroup
	asked.Go(func() {
		out.Database = s.ask(r.Context(), "the database", func(ctx context.Context) (err error) {
			waiting, err = s.store.CountWaiting(ctx, cmp.Or(2*limit, countedMost))
			return err
		})
	})
	out.Temporal = s.ask(r.Context(), "Temporal", s.engine.Ready)
	asked.Wait()
	if waiting != nil {
		out.Backlog.Events, out.Quarantined, out.SetAside = &waiting.Events, &waiting.Quarantined, &waiting.SetAside
		if waiting.OldestAt != nil {
			out.Backlog.OldestAt = new(waiting.OldestAt.UTC())
		}
	}
	return writeJSON(w, http.StatusOK, out)
}

// ask says whether a service answers. Why it does not is in the log.
func (s *Server) ask(ctx context.Context, name string, question func(context.Context) error) partStatus {
	if err := within(ctx, question); err != nil {
		s.log.WarnContext(ctx, name+" does not answer", "error", err)
		return partStatus{Error: name + " does not answer; the log of this process says why"}
	}
	return partStatus{OK: true}
}
