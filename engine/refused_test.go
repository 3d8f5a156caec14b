package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"

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
			server := mocks.NewClient(t)
			server.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil, test.answer)
			server.On("OperatorService").Return(operator{has: workflows.SearchAttributes()}).Maybe()
			c := engine.NewClient(server, engine.Options{})
			require.Equal(t, test.want, webhook.ErrorCode(c.Start(t.Context(), &workflows.EventDeliveryInput{Tenant: "acme", EventID: "order-1"})))
		})
	}
}

// A namespace that lacks a search attribute refuses every event alike, so none of them is at fault.
func TestStart_NamespaceLacksAttribute(t *testing.T) {
	t.Parallel()
	server := mocks.NewClient(t)
	server.On("ExecuteWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything).
		Return(nil, serviceerror.NewInvalidArgument("search attribute WaybillTenant is not defined"))
	server.On("OperatorService").Return(operator{has: workflows.SearchAttributes()[1:]})
	c := engine.NewClient(server, engine.Options{})
	err := c.Start(t.Context(), &workflows.EventDeliveryInput{Tenant: "acme", EventID: "order-1"})
	require.Equal(t, webhook.CodeUnavailable, webhook.ErrorCode(err))
	require.ErrorContains(t, err, "WaybillTenant")
}

// A workflow that takes no more signals is no outage: who has others to tell goes on.
func TestSignals_Refused(t *testing.T) {
	t.Parallel()
	for want, answer := range map[webhook.Code]error{
		webhook.CodeInvalid:     serviceerror.NewInvalidArgument("exceeded workflow execution limit for signal events"),
		webhook.CodeNotFound:    serviceerror.NewNotFound("workflow execution already completed"),
		webhook.CodeUnavailable: serviceerror.NewUnavailable("no connection"),
	} {
		server := mocks.NewClient(t)
		server.On("SignalWorkflow", mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(answer)
		c := engine.NewClient(server, engine.Options{})
		require.Equal(t, want, webhook.ErrorCode(c.TellHandedOver(t.Context(), "acme", "order-1", webhook.NewID[webhook.EndpointID]([16]byte{1}))))
		require.Equal(t, want, webhook.ErrorCode(c.TellCanceled(t.Context(), "acme", "order-1", webhook.NewID[webhook.EndpointID]([16]byte{1}), "gone")))
	}
}

// operator is a server whose namespace has these search attributes.
type operator struct {
	operatorservice.OperatorServiceClient
	has []temporal.SearchAttributeKey
}

func (o operator) ListSearchAttributes(
	context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption,
) (*operatorservice.ListSearchAttributesResponse, error) {
	out := &operatorservice.ListSearchAttributesResponse{CustomAttributes: map[string]enumspb.IndexedValueType{}}
	for _, key := range o.has {
		out.CustomAttributes[key.GetName()] = key.GetValueType()
	}
	return out, nil
}
