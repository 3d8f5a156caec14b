package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"waybill/webhook"
)

// An outage is a minute, which -events makes longer or shorter. What fails is tried again every outageDelay, so that retries come on top
// of first attempts for most of it.
const (
	outageSeconds = 60
	outageDelay   = 30 * time.Second
	// Events a second to each of the two endpoints: half of what two cores can carry where one of them fails.
	outageExpress, outageWorkflow = 1000, 25
	// outageRetries are as many as a policy may have: enough for ten times the usual length.
	outageRetries = webhook.MaxRetries
)

// outageRate is how many events a second each of the two endpoints gets.
func (r *rig) outageRate() float64 {
	switch {
	case r.opts.outageRate > 0:
		return r.opts.outageRate
	case r.mode == modeExpress:
		return outageExpress
	default:
		return outageWorkflow
	}
}

// outageCase compares a healthy endpoint alone with the same while another tenant's, which gets as much, is down.
func outageCase(ctx context.Context, r *rig) error {
	rate := r.outageRate()
	healthy := scenario{events: int(outageSeconds * rate), endpoints: 1, perSecond: rate}
	if err := r.scenario(ctx, row{Key: rowOutageQuiet, Title: fmt.Sprintf("healthy endpoint, %g/s, alone", rate)}, healthy); err != nil {
		return err
	}
	info := row{Key: rowOutage, Title: fmt.Sprintf("the same beside %g/s to one that is down", rate)}
	return r.measure(ctx, info, func(ctx context.Context, share float64) (figures, error) {
		return r.playBeside(ctx, outage(healthy), healthy, share)
	})
}

// outage is an endpoint that answers 503 until it is recovered.
func outage(like scenario) *noise {
	var back atomic.Bool
	schedule := make([]string, outageRetries)
	for i := range schedule {
		schedule[i] = outageDelay.String()
	}
	return &noise{
		traffic: traffic{calls: like.events, perSecond: like.perSecond}, schedule: schedule,
		behavior: func(int) (int, time.Duration) {
			if back.Load() {
				return http.StatusOK, 0
			}
			return http.StatusServiceUnavailable, 0
		},
		recover: func() { back.Store(true) },
	}
}
