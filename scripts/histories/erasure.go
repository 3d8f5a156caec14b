package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/workflows"
)

// erasureStories are those of TenantErasure.
func erasureStories() []*story {
	page, done := activities.EraseTenantResult{Deleted: 1000}, activities.EraseTenantResult{Done: true, Deleted: 1}
	return []*story{
		{name: "erasure-completed", erase: erases(page, page, activities.EraseTenantResult{Wait: time.Second}, done)},
		{name: "erasure-fault", erase: func(n int) (activities.EraseTenantResult, error) {
			if n < 3 {
				return page, errors.New("the database is down")
			}
			return done, nil
		}},
		{name: "erasure-waiting", open: true, erase: erases(page, activities.EraseTenantResult{Wait: time.Hour}), then: waitErased},
	}
}

// erases answers each try in turn, the last one for good.
func erases(results ...activities.EraseTenantResult) func(int) (activities.EraseTenantResult, error) {
	return func(n int) (activities.EraseTenantResult, error) { return results[min(n, len(results))-1], nil }
}

func (s *story) startErasure(ctx context.Context, c client.Client, options client.StartWorkflowOptions) (client.WorkflowRun, error) {
	return c.ExecuteWorkflow(ctx, options, workflows.TenantErasureType, &workflows.TenantErasureInput{Tenant: "acme"})
}

func (s *story) registerErasure(r worker.ActivityRegistry) {
	var tries atomic.Int32
	r.RegisterActivityWithOptions(func(context.Context, activities.EraseTenantInput) (*activities.EraseTenantResult, error) {
		out, err := s.erase(int(tries.Add(1)))
		return &out, err
	}, activity.RegisterOptions{Name: "EraseTenant"})
}

// waitErased waits until the erasure waits for what was under way.
func waitErased(ctx context.Context, r *running) error {
	for ctx.Err() == nil {
		h, err := fetch(ctx, r.client, r.id, "")
		if err != nil {
			return err
		}
		for _, e := range h.GetEvents() {
			if e.GetTimerStartedEventAttributes() != nil {
				return nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return ctx.Err()
}
