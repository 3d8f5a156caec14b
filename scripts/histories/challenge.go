package main

import (
	"context"
	"errors"
	"sync/atomic"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// challengeStories are those of EndpointChallenge.
func challengeStories() []*story {
	answer := activities.ChallengeResult{Version: 2, Method: webhook.VerifyCloudEvents, AllowedRate: 120}
	return []*story{
		{name: "challenge-answered", challenge: func(int) (activities.ChallengeResult, error) { return answer, nil }},
		{name: "challenge-fault", challenge: func(n int) (activities.ChallengeResult, error) {
			if n < 3 {
				return answer, errors.New("the database is down")
			}
			return answer, nil
		}},
	}
}

func (s *story) startChallenge(ctx context.Context, c client.Client, options client.StartWorkflowOptions) (client.WorkflowRun, error) {
	return c.ExecuteWorkflow(ctx, options, workflows.EndpointChallengeType, &workflows.EndpointChallengeInput{
		Tenant: "acme", EndpointID: webhook.NewID[webhook.EndpointID](fixed(1)),
	})
}

func (s *story) registerChallenge(r worker.ActivityRegistry) {
	var tries atomic.Int32
	r.RegisterActivityWithOptions(func(context.Context, activities.ChallengeInput) (*activities.ChallengeResult, error) {
		out, err := s.challenge(int(tries.Add(1)))
		return &out, err
	}, activity.RegisterOptions{Name: "Challenge"})
}
