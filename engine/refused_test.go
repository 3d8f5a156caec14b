package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"

	"waybill/engine"
	"waybill/webhook"
	"waybill/workflows"
)

// The engine's answer to a start says whether the event or the engine is the cause.
func TestStart_Faults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer error
		want   webhook.Code
	}{
		"started":          {nil, ""},
		"started before":   {serviceerror.NewWorkflowExecutionAlreadyStarted("", "", ""), ""},
		"invalid":          {serviceerror.NewInvalidArgument("WorkflowId length exceeds limit."), webhook.CodeInvalid},
		"not encodable":    {errors.Join(converter.ErrUnableToEncode), webhook.CodeInvalid},
		"too large":        {errors.New("grpc: received message larger than max (5000000 vs. 4194304)"), webhook.CodeInvalid},
		"unavailable":      {serviceerror.NewUnavailable("no connection"), webhook.CodeUnavailable},
		"deadline":         {serviceerror.NewDeadlineExceeded("context deadline exceeded"), webhook.CodeUnavailable},
		"own deadline":     {context.DeadlineExceeded, webhook.CodeUnavailable},
		"exhausted":        {serviceerror.NewResourceExhausted(0, "namespace rate limit exceeded"), webhook.CodeUnavailable},
		"no namespace":     {serviceerror.NewNamespaceNotFound("waybill"), webhook.CodeUnavailable},
		"no permission":    {serviceerror.NewPermissionDenied("", ""), webhook.CodeUnavailable},
		"internal":         {serviceerror.NewInternal("panic"), webhook.CodeUnavailable},
		"broken transport": {errors.New("connection error: EOF"), webhook.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temporal := mocks.NewClient(t)
			temporal.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, test.answer)
			c := engine.NewClient(temporal, engine.Options{})
			require.Equal(t, test.want, webhook.ErrorCode(c.Start(t.Context(), &workflows.EventDeliveryInput{Tenant: "acme", EventID: "order-1"})))
		})
	}
}
