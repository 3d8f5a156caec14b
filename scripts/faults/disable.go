package main

import (
	"context"
	"time"
)

// disableWaiting disables an endpoint while some hundred events wait to be sent to it.
func disableWaiting() scenario {
	return scenario{
		name: "disable-waiting", what: "two endpoints are disabled, one of them with some hundred events in retries, and events go on coming",
		endpoints: []behavior{healthy, switched, stubborn}, rate: 100,
		faults: func(ctx context.Context, r *run) error {
			pause(ctx, time.Duration(6000+r.rnd.IntN(2000))*time.Millisecond)
			for _, name := range []string{stubborn.name, switched.name} {
				if err := r.disable(ctx, name); err != nil {
					return err
				}
			}
			return calm(5*time.Second)(ctx, r)
		},
	}
}

// disable disables an endpoint and writes down when that was answered.
func (r *run) disable(ctx context.Context, name string) error {
	if err := r.call(ctx, "POST", "/v1/tenants/"+r.tenant+"/endpoints/"+r.ids[name]+"/disable", nil, nil); err != nil {
		return err
	}
	return r.disables.append(disabled{name, time.Now()})
}

// disableHolds is how soon after its answer a disabling holds.
const disableHolds = time.Second

// judgeDisabled looks for what arrived at an endpoint that was disabled.
func (e *evidence) judgeDisabled(v *verdict) {
	for _, d := range e.disables {
		for p, arrived := range e.arrivals {
			for _, a := range arrived {
				if p.endpoint == d.Endpoint && a.At.After(d.At.Add(disableHolds)) {
					v.wrong("%v: arrival %d came %s after the endpoint was disabled", p, a.Number, a.At.Sub(d.At))
				}
			}
		}
	}
}
