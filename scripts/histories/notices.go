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
	"waybill/webhook"
	"waybill/workflows"
)

// noticeStories are those of EndpointNotices.
func noticeStories() []*story {
	const host = "hooks.example.com"
	sent := activities.NoticeResult{Sent: activities.MailTrouble, Exhausted: 2, Host: host}
	return []*story{
		{name: "notices-sent", mail: mails(sent)},
		{name: "notices-nothing", mail: mails(activities.NoticeResult{Host: host})},
		{name: "notices-fault", mail: func(n int) (activities.NoticeResult, error) {
			if n < 3 {
				return activities.NoticeResult{}, errors.New("the mail server cannot be reached")
			}
			return sent, nil
		}},
		{name: "notices-gathering", open: true, then: mailsMade(1), mail: mails(activities.NoticeResult{Wait: time.Hour, Exhausted: 3, Host: host})},
		{name: "notices-woken", then: func(ctx context.Context, r *running) error {
			if err := mailsMade(1)(ctx, r); err != nil {
				return err
			}
			return r.client.SignalWorkflow(ctx, r.id, "", workflows.SignalWake, nil)
		}, mail: mails(activities.NoticeResult{Wait: time.Hour, Exhausted: 3, Host: host}, activities.NoticeResult{Sent: activities.MailWorks, Host: host})},
		{name: "notices-refused", open: true, then: mailsMade(1), mail: mails(activities.NoticeResult{
			Refused: "the mail server refuses the mail with 550", Exhausted: 2, Host: host,
		})},
		{name: "notices-waited", mail: mails(activities.NoticeResult{Wait: time.Second, Exhausted: 3, Disabled: true, Host: host}, sent)},
	}
}

// mails answers each try in turn, the last one for good.
func mails(results ...activities.NoticeResult) func(int) (activities.NoticeResult, error) {
	return func(n int) (activities.NoticeResult, error) { return results[min(n, len(results))-1], nil }
}

// mailsMade waits until the workflow has had the results of n tries and waits.
func mailsMade(n int) func(context.Context, *running) error {
	return func(ctx context.Context, r *running) error {
		for ctx.Err() == nil {
			h, err := fetch(ctx, r.client, r.id, "")
			if err != nil {
				return err
			}
			done, timers := 0, 0
			for _, e := range h.GetEvents() {
				if e.GetActivityTaskCompletedEventAttributes() != nil {
					done++
				}
				if e.GetTimerStartedEventAttributes() != nil {
					timers++
				}
			}
			if done >= n && timers > n { // the first timer is for gathering
				return nil
			}
			time.Sleep(50 * time.Millisecond)
		}
		return ctx.Err()
	}
}

func (s *story) startNotices(ctx context.Context, c client.Client, options client.StartWorkflowOptions) (client.WorkflowRun, error) {
	return c.ExecuteWorkflow(ctx, options, workflows.EndpointNoticesType, &workflows.EndpointNoticesInput{
		Tenant: "acme", EndpointID: webhook.NewID[webhook.EndpointID](fixed(1)),
	})
}

// mailWorker plays the mail server.
func (s *story) mailWorker(c client.Client) worker.Worker {
	w := worker.New(c, workflows.MailQueue, worker.Options{DisableWorkflowWorker: true})
	var tries atomic.Int32
	w.RegisterActivityWithOptions(func(context.Context, activities.NoticeInput) (*activities.NoticeResult, error) {
		out, err := s.mail(int(tries.Add(1)))
		return &out, err
	}, activity.RegisterOptions{Name: "SendNotice"})
	return w
}
