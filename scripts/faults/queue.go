package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"time"

	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

const (
	// heldEvents is how many events come in while an endpoint is disabled.
	heldEvents = 2000
	// unhurried is how long their receiver takes, so that the queue drains for a while and is hit in the middle.
	unhurried = 200 * time.Millisecond
	// slow is how long it takes where the queue must drain for minutes: a drain whose workflow is gone goes on until its next heartbeat, and
	// on a busy machine the command line alone takes ten seconds. With a second everything was delivered before anybody was missed.
	slow = 4 * time.Second
)

// queueScenarios hit what an endpoint's queue depends on while it drains.
func queueScenarios() []scenario {
	kills := func(name string, times int) func(context.Context, *run) error {
		return func(ctx context.Context, r *run) error {
			for range times {
				if err := r.around(ctx, 500*time.Millisecond, kill(name), start(name)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return []scenario{
		draining("drain-kill-serve", unhurried, "`serve` is killed three times", "", killServe(3)),
		draining("drain-kill-apart", unhurried, "two `api` and two `worker` are each killed twice", "api", killApart),
		draining("drain-kill-temporal", unhurried, "Temporal is killed and started again, twice", "", kills("temporal", 2)),
		draining("drain-kill-postmaster", unhurried, "Postgres' postmaster is killed and started again, twice", "", kills("postgres", 2)),
		draining("drain-terminate", slow, "the queue's workflow is terminated by hand, and the reconciler brings it back", "", terminateQueue),
		recovering(),
	}
}

// draining has the queue of an endpoint drain what it held while harm is done.
func draining(name string, answers time.Duration, harm, command string, faults func(context.Context, *run) error) scenario {
	var h *heldBack
	return scenario{
		name: name, what: fmt.Sprintf("an endpoint with %d held deliveries is enabled, and while its queue drains %s", heldEvents, harm),
		endpoints: []behavior{healthy}, rate: besidesPerSecond, command: command, env: promptReconciler, settleWithin: 5 * time.Minute,
		before: func(ctx context.Context, r *run) (err error) {
			if command == "api" {
				if _, err := r.startServer(ctx, "worker", promptReconciler...); err != nil {
					return err
				}
			}
			h, err = r.haveHeld(ctx, answers)
			return err
		},
		faults: func(ctx context.Context, r *run) error {
			if err := h.act(ctx, "enable"); err != nil {
				return err
			}
			if err := h.reach(ctx, "delivered", heldEvents/20); err != nil { // the queue drains
				return err
			}
			if err := h.reaching(ctx, "delivered", heldEvents*9/10); err != nil {
				return err
			}
			if err := faults(ctx, r); err != nil {
				return err
			}
			return h.reach(ctx, "delivered", heldEvents)
		},
		also: func(ctx context.Context, r *run, v *verdict) error { return h.judge(ctx, r, v) },
	}
}

// promptReconciler lets a scenario see the reconciler's work.
var promptReconciler = []string{"WAYBILL_RECONCILE_AFTER=5s"}

// heldBack is a tenant beside the scenario's own, whose endpoint was disabled before its events came.
type heldBack struct{ *waiting }

// haveHeld disables an endpoint whose receiver answers after a while, publishes the events and returns once all of them are held.
func (r *run) haveHeld(ctx context.Context, answers time.Duration) (*heldBack, error) {
	own, err := r.beside(ctx, "held", behavior{
		name: "reopened", schedule: patient, answer: always(receiver.Slow(answers)), settles: []string{"delivered"},
	})
	if err != nil {
		return nil, err
	}
	h := &heldBack{&waiting{run: own, events: heldEvents}}
	if err := h.act(ctx, "disable"); err != nil {
		return nil, err
	}
	for n := 1; n <= heldEvents; n += batchSize {
		if err := h.publishBatch(ctx, n, min(n+batchSize, heldEvents+1)); err != nil {
			return nil, err
		}
	}
	return h, h.reach(ctx, "held", heldEvents)
}

// act disables or enables the tenant's only endpoint.
func (h *heldBack) act(ctx context.Context, what string) error {
	return h.call(ctx, "POST", "/v1/tenants/"+h.tenant+"/endpoints/"+h.ids[h.scenario.endpoints[0].name]+"/"+what, nil, nil)
}

// reaching returns an error if so many deliveries have the status already, so that nothing would be shown.
func (w *waiting) reaching(ctx context.Context, status string, tooMany int) error {
	var there int
	query := `SELECT count(*) FROM ` + w.table("deliveries") + ` WHERE tenant_id = $1 AND status = $2`
	if err := w.db.QueryRowContext(ctx, query, w.tenant, status).Scan(&there); err != nil {
		return err
	}
	if there >= tooMany {
		return fmt.Errorf("%d deliveries are %s already, so nothing would be shown", there, status)
	}
	return nil
}

// judge has the oracle judge what was held. What was done to the processes, the scenario's own run knows.
func (h *heldBack) judge(ctx context.Context, r *run, v *verdict) error {
	if err := h.close(); err != nil {
		return err
	}
	h.kills, h.windows = r.kills, r.windows
	own, err := h.run.judge(ctx)
	if err != nil {
		return err
	}
	if own.deliveries != h.events {
		own.wrong("%d deliveries are not %d", own.deliveries, h.events)
	}
	v.add(own)
	return nil
}

// terminateQueue ends the queue's workflow as an operator could by mistake.
func terminateQueue(ctx context.Context, r *run) error {
	tenant := r.tenant + "-held"
	var endpoint string
	err := r.db.QueryRowContext(ctx, `SELECT 'ep_' || replace(id::text, '-', '') FROM `+r.table("endpoints")+` WHERE tenant_id = $1`, tenant).Scan(&endpoint)
	if err != nil {
		return fmt.Errorf("find the endpoint: %w", err)
	}
	if err := r.temporal(ctx, "workflow", "terminate", "--workflow-id", tenant+"/queue/"+endpoint, "--reason", "by mistake"); err != nil {
		return err
	}
	// The process that reconciled may have been killed in an earlier scenario; its lease ends after five minutes.
	return until(ctx, 7*time.Minute, func() error {
		missed := r.server.logged("nobody works on")
		if missed == nil {
			return nil
		}
		var open int
		query := `SELECT count(*) FROM ` + r.table("deliveries") + ` WHERE tenant_id = $1 AND status NOT IN ('delivered', 'exhausted', 'canceled')`
		if err := r.db.QueryRowContext(ctx, query, tenant).Scan(&open); err != nil {
			return errors.Join(missed, err)
		}
		return fmt.Errorf("%w; %d deliveries are not settled", missed, open)
	})
}

// temporal runs the operator's command line. errNotRun: this world has none.
func (r *run) temporal(ctx context.Context, args ...string) error {
	if r.stack == nil {
		return fmt.Errorf("%w: the command line of Temporal belongs to a stack", errNotRun)
	}
	cli := r.stack.Root + "/.waybill/bin/" + stack.TemporalCLI.Name
	cmd := exec.CommandContext(ctx, cli, append(args, "--address", r.temporalAddress, "--namespace", r.temporalNS)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("temporal %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// recovering has everything that was exhausted sent again by a recovery while all processes are killed.
func recovering() scenario {
	var h *heldBack
	return scenario{
		name: "recovery-kill-serve", what: fmt.Sprintf("a recovery sends %d exhausted deliveries again, and `serve` is killed four times meanwhile", heldEvents),
		endpoints: []behavior{healthy}, rate: besidesPerSecond, env: promptReconciler, settleWithin: 5 * time.Minute,
		before: func(ctx context.Context, r *run) (err error) {
			h, err = r.haveExhausted(ctx)
			return err
		},
		faults: func(ctx context.Context, r *run) error {
			path := "/v1/tenants/" + h.tenant + "/recoveries"
			var recovery struct{ ID string }
			in := map[string]any{"endpoint_id": h.ids[h.scenario.endpoints[0].name], "statuses": []string{"exhausted"}, "rate": 200}
			if err := h.call(ctx, "POST", path, in, &recovery); err != nil {
				return err
			}
			if err := killServe(4)(ctx, r); err != nil {
				return err
			}
			if err := h.reach(ctx, "delivered", heldEvents); err != nil {
				return err
			}
			return until(ctx, time.Minute, func() error {
				var now struct {
					Status                           string
					Matched, Sent, Delivered, Failed int
				}
				err := h.call(ctx, "GET", path+"/"+recovery.ID, nil, &now)
				if err == nil && (now.Status != "completed" || now.Matched != heldEvents || now.Sent != heldEvents || now.Delivered != heldEvents || now.Failed != 0) {
					err = fmt.Errorf("the recovery stands as %+v", now)
				}
				return err
			})
		},
		also: func(ctx context.Context, r *run, v *verdict) error { return h.judge(ctx, r, v) },
	}
}

// haveExhausted publishes events to an endpoint that refuses each of them once, and returns once all are exhausted.
func (r *run) haveExhausted(ctx context.Context) (*heldBack, error) {
	own, err := r.beside(ctx, "held", behavior{
		name: "reopened", schedule: []string{}, settles: []string{"delivered"}, reopened: true,
		answer: func(_ string, number int) receiver.Behavior {
			if number == 1 {
				return receiver.Status(http.StatusServiceUnavailable)
			}
			return receiver.Slow(unhurried / 4)
		},
	})
	if err != nil {
		return nil, err
	}
	h := &heldBack{&waiting{run: own, events: heldEvents}}
	var errs []error
	for n := 1; n <= heldEvents; n += batchSize {
		errs = append(errs, h.publishBatch(ctx, n, min(n+batchSize, heldEvents+1)))
	}
	return h, errors.Join(append(errs, h.reach(ctx, "exhausted", heldEvents))...)
}
