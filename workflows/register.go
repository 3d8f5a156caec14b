package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Register registers the workflows under their fixed names.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(EventDelivery, workflow.RegisterOptions{Name: EventDeliveryType})
	r.RegisterWorkflowWithOptions(EndpointNotices, workflow.RegisterOptions{Name: EndpointNoticesType})
	r.RegisterWorkflowWithOptions(TenantErasure, workflow.RegisterOptions{Name: TenantErasureType})
	r.RegisterWorkflowWithOptions(EndpointChallenge, workflow.RegisterOptions{Name: EndpointChallengeType})
	r.RegisterWorkflowWithOptions(EndpointQueue, workflow.RegisterOptions{Name: EndpointQueueType})
}
