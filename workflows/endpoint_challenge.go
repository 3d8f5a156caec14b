package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// challengeTries is how often a challenge is tried that failed by a fault of Waybill's own.
const challengeTries = 3

// ChallengeTimeout is how long a challenge takes at most, all its tries together.
const ChallengeTimeout = attemptTimeout + 30*time.Second

// EndpointChallengeInput starts EndpointChallenge.
type EndpointChallengeInput struct {
	Tenant     string             `json:"tenant"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
}

// EndpointChallenge asks the receiver of an endpoint once whether it wants what is sent to it. It is a workflow because a process that
// serves the API makes no outbound calls. It fails with an error of type invalid_input when Waybill cannot have made its input.
func EndpointChallenge(ctx workflow.Context, in *EndpointChallengeInput) (*activities.ChallengeResult, error) {
	if in == nil || in.Tenant == "" || in.EndpointID.IsZero() {
		return nil, invalidInput(errors.New("tenant and endpoint_id must not be empty"))
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              IsolatedQueue,
		ScheduleToCloseTimeout: ChallengeTimeout,
		StartToCloseTimeout:    attemptTimeout,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumAttempts: challengeTries},
		Priority:               temporal.Priority{FairnessKey: in.EndpointID.String()},
		Summary:                "challenge " + in.EndpointID.String(),
	})
	var a *activities.Activities
	var out activities.ChallengeResult
	err := workflow.ExecuteActivity(ctx, a.Challenge, activities.ChallengeInput{Tenant: in.Tenant, EndpointID: in.EndpointID}).Get(ctx, &out)
	if err != nil {
		return nil, err
	}
	return &out, nil
}
