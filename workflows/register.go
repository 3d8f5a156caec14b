package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Register registers the workflows under their fixed names.
func Register(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(EventDelivery, workflow.RegisterOptions{Name: EventDeliveryType})
	r.RegisterWorkflowWithOptions(EndpointRecovery, workflow.RegisterOptions{Name: EndpointRecoveryType})
	r.RegisterWorkflowWithOptions(EndpointNotices, workflow.RegisterOptions{Name: EndpointNoticesType})
}
