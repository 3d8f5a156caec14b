package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"waybill/scripts/receiver"
)

// failing refuses all, and is disabled for it after ten failures in a row.
var failing = behavior{
	name: "failing", schedule: patient, answer: always(receiver.Status(http.StatusServiceUnavailable)), settles: []string{"held"},
	autoDisable: map[string]any{"failures": 10},
}

// operator is the tenant that is told of endpoints in trouble.
const operator = "operator"

// autoDisableScenarios have an endpoint disabled for its failures while processes die.
func autoDisableScenarios() []scenario {
	env := []string{"WAYBILL_OPERATOR_TENANT=" + operator, promptReconciler[0]}
	kills := scenario{
		name: "auto-disable-kill-serve", what: "an endpoint fails and is to be disabled, while `serve` is killed six times", faults: killServe(6),
	}
	between := scenario{
		name: "before-auto-disable", what: "`serve` is killed between the record of the failure that disables an endpoint and the disabling",
		faults: func(ctx context.Context, r *run) error {
			return errors.Join(r.died(ctx, r.server), r.server.start(ctx, env...), calm(2*time.Second)(ctx, r))
		},
	}
	all := []scenario{kills, between}
	for i := range all {
		all[i].endpoints, all[i].env = []behavior{healthy, failing}, env
		if all[i].name == between.name {
			// From the start: on a busy machine the endpoint has failed ten times before anything else happens.
			all[i].env = append(slices.Clone(env), "WAYBILL_FAILPOINTS=before-auto-disable=kill:1")
		}
		all[i].before = haveOperator
		harm := all[i].faults
		all[i].faults = func(ctx context.Context, r *run) error {
			return errors.Join(harm(ctx, r), r.awaitDisabled(ctx))
		}
		all[i].also = judgeTransition
	}
	return all
}

// haveOperator makes the operator's tenant, unless an earlier scenario did.
func haveOperator(ctx context.Context, r *run) error {
	status, answer, err := r.ask(ctx, "http://"+r.address(0), "POST", "/v1/tenants", map[string]any{"id": operator, "name": "Operator", "dialect": "standard"})
	if err == nil && status != http.StatusCreated && status != http.StatusConflict {
		err = fmt.Errorf("POST /v1/tenants answered %d: %s", status, answer)
	}
	return err
}

// awaitDisabled waits until the failing endpoint is disabled. Its last failures may have been recorded by a process that died.
func (r *run) awaitDisabled(ctx context.Context) error {
	return until(ctx, time.Minute, func() error {
		var e struct{ Status string }
		err := r.call(ctx, "GET", "/v1/tenants/"+r.tenant+"/endpoints/"+r.ids[failing.name], nil, &e)
		if err == nil && e.Status != "disabled" {
			err = errors.New("the failing endpoint is not disabled")
		}
		return err
	})
}

// judgeTransition makes sure that the endpoint was disabled once, for its failures, and the operator told once.
func judgeTransition(ctx context.Context, r *run, v *verdict) error {
	var by string
	var told int
	err := r.db.QueryRowContext(ctx, `SELECT disabled_by FROM `+r.table("endpoints")+` WHERE tenant_id = $1 AND disabled_at IS NOT NULL`, r.tenant).Scan(&by)
	if err != nil {
		return fmt.Errorf("read the disabled endpoint: %w", err)
	}
	if by != "failures" {
		v.wrong("the endpoint was disabled by %q", by)
	}
	// An event that the operator was to get may still be in the outbox: the servers have ended.
	err = r.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM `+r.table("outbox")+` WHERE tenant_id = $1 AND event_type = 'endpoint.disabled' AND data::jsonb ->> 'tenant' = $2)
		+ (SELECT count(*) FROM `+r.table("events")+` WHERE tenant_id = $1 AND event_type = 'endpoint.disabled' AND convert_from(body, 'UTF8')::jsonb -> 'data' ->> 'tenant' = $2)`,
		operator, r.tenant).Scan(&told)
	if err != nil {
		return fmt.Errorf("count what the operator was told: %w", err)
	}
	if told != 1 {
		v.wrong("the operator was told %d times that the endpoint is disabled", told)
	}
	return nil
}
