package api

import (
	"context"
	"log/slog"
	"net/http"

	"waybill/store"
	"waybill/webhook"
)

type recoveryInput struct {
	EndpointID string           `json:"endpoint_id"`
	Since      *moment          `json:"since"`
	Until      *moment          `json:"until"`
	Statuses   []webhook.Status `json:"statuses"`
	EventTypes []string         `json:"event_types"`
	Missed     bool             `json:"missed"`
	Rate       *int             `json:"rate"`
	DryRun     bool             `json:"dry_run"`
	Reason     string           `json:"reason"`
}

// createRecovery is POST /v1/tenants/{tenant}/recoveries. With dry_run it only counts.
func (s *Server) createRecovery(w http.ResponseWriter, r *http.Request, c *call) error {
	var in recoveryInput
	if err := decode(w, r, s.opts.MaxBodyBytes, &in); err != nil {
		return err
	}
	if !in.DryRun {
		return s.create(w, r, c, &in, func() (*creation, error) { return s.planRecovery(r, c, &in) })
	}
	rec, err := s.recovery(r.Context(), &in, c)
	if err != nil {
		return err
	}
	count, err := s.store.CountRecovery(r.Context(), rec)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, count)
}

func (s *Server) planRecovery(r *http.Request, c *call, in *recoveryInput) (*creation, error) {
	rec, err := s.recovery(r.Context(), in, c)
	if err != nil {
		return nil, err
	}
	return &creation{
		show: func() (made, error) {
			return made{location: "/v1/tenants/" + c.tenant.ID + "/recoveries/" + rec.ID.String(), view: rec}, nil
		},
		do: func(once *store.Once) error {
			err := s.store.CreateRecovery(r.Context(), rec, once)
			if err == nil {
				s.wakeQueue(r, c, rec.EndpointID)
			}
			return err
		},
	}, nil
}

// recovery checks the request.
func (s *Server) recovery(ctx context.Context, in *recoveryInput, c *call) (*webhook.Recovery, error) {
	now := s.now()
	out := &webhook.Recovery{
		ID: webhook.NewID[webhook.RecoveryID](s.opts.NewUUID()), TenantID: c.tenant.ID, Statuses: in.Statuses, EventTypes: in.EventTypes,
		Missed: in.Missed, Reason: in.Reason, CreatedAt: now,
	}
	if in.EndpointID != "" {
		if err := out.EndpointID.UnmarshalText([]byte(in.EndpointID)); err != nil {
			return nil, invalid("recovery", webhook.FieldError{Field: "endpoint_id", Detail: err.Error()})
		}
	}
	if in.Since != nil {
		out.Since = in.Since.utc()
	}
	if in.Until != nil {
		out.Until = in.Until.utc()
	}
	if in.Rate != nil {
		if out.Rate = *in.Rate; out.Rate == 0 {
			return nil, invalid("recovery", webhook.FieldError{Field: "rate", Detail: "is at least 1; leave it out for the pace of the queue"})
		}
	}
	if err := checkReason(in.Reason); err != nil {
		return nil, err
	}
	out.SetDefaults(now, s.opts.Retention)
	if err := out.Validate(now, s.opts.Retention); err != nil {
		return nil, err
	}
	if err := s.confineTo(ctx, c, out.EndpointID, "endpoint", out.EndpointID.String()); err != nil {
		return nil, err
	}
	return out, s.boundRate(ctx, out)
}

// wakeQueue tells the queue of an endpoint that there is something to do. The answer does not wait for Temporal to be well: the
// database has what is to be done, and the reconciler finds a queue that was not told.
func (s *Server) wakeQueue(r *http.Request, c *call, endpoint webhook.EndpointID) {
	err := within(context.WithoutCancel(r.Context()), func(ctx context.Context) error {
		return s.engine.WakeQueue(ctx, c.tenant.ID, endpoint)
	})
	if err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "the queue of an endpoint was not woken; the reconciler does it",
			slog.String("request_id", infoOf(r).id), slog.String("tenant", c.tenant.ID),
			slog.String("endpoint_id", endpoint.String()), slog.String("error", err.Error()))
	}
}

// listRecoveries is GET /v1/tenants/{tenant}/recoveries, newest first.
func (s *Server) listRecoveries(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "endpoint", "limit", "cursor")
	page := q.page(new(webhook.RecoveryID))
	var endpoint webhook.EndpointID
	q.id("endpoint", &endpoint)
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.Recoveries(r.Context(), c.tenant.ID, store.RecoveryFilter{EndpointID: endpoint, Within: c.confinement(), Page: more(page)})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, paged(found, page,
		func(r *webhook.Recovery) string { return r.ID.String() },
		func(r *webhook.Recovery) *webhook.Recovery { return r }))
}

// getRecovery is GET /v1/tenants/{tenant}/recoveries/{recovery}.
func (s *Server) getRecovery(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.RecoveryID](r, "recovery")
	if err != nil {
		return err
	}
	rec, err := s.store.Recovery(r.Context(), c.tenant.ID, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, rec)
}

// cancelRecovery is POST /v1/tenants/{tenant}/recoveries/{recovery}/cancel.
func (s *Server) cancelRecovery(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.RecoveryID](r, "recovery")
	if err != nil {
		return err
	}
	if err := decodeOptional(w, r, s.opts.MaxBodyBytes, &struct{}{}); err != nil {
		return err
	}
	rec, err := s.store.CancelRecovery(r.Context(), c.tenant.ID, id, s.now())
	if err != nil {
		return err
	}
	s.wakeQueue(r, c, rec.EndpointID) // it takes out what the call had no time for
	return writeJSON(w, http.StatusOK, rec)
}
