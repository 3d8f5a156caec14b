package engine

import (
	"context"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"

	"waybill/tracing"
	"waybill/webhook"
)

// Trace makes a client, and the workers that use it, carry the trace of a dispatch from the start of an event's workflow to its attempts, in
// a header of 55 bytes that only a recorded trace has, and write one span for each run of a workflow that ends. Neither touches a command,
// so that a workflow goes on with and without. (The SDK's contrib/opentelemetry begins a span of the workflow anew with each replay, and
// writes the texts of errors into spans.)
func Trace(o *client.Options, t *tracing.Tracer) {
	o.ContextPropagators = append(o.ContextPropagators, propagator{})
	o.Interceptors = append(o.Interceptors, &runTracer{tracer: t})
}

// traceHeader is the name of the header of workflows and activities.
const traceHeader = "waybill-traceparent"

type carriedKey struct{}

// carrying returns the context for the start of an event's workflow. Other workflows serve many events, and are in the trace of none.
func carrying(ctx context.Context) context.Context {
	if t := tracing.Current(ctx); t != "" {
		return context.WithValue(ctx, carriedKey{}, t)
	}
	return ctx
}

// propagator carries a Traceparent. One that cannot be read is ignored: whoever reaches Temporal can write one.
type propagator struct{}

// Inject implements workflow.ContextPropagator.
func (propagator) Inject(ctx context.Context, w workflow.HeaderWriter) error {
	return inject(ctx.Value(carriedKey{}), w)
}

// InjectFromWorkflow implements workflow.ContextPropagator.
func (propagator) InjectFromWorkflow(ctx workflow.Context, w workflow.HeaderWriter) error {
	return inject(ctx.Value(carriedKey{}), w)
}

func inject(carried any, w workflow.HeaderWriter) error {
	t, ok := carried.(webhook.Traceparent)
	if !ok {
		return nil
	}
	payload, err := converter.GetDefaultDataConverter().ToPayload(string(t))
	if err != nil {
		return err
	}
	w.Set(traceHeader, payload)
	return nil
}

// Extract implements workflow.ContextPropagator.
func (propagator) Extract(ctx context.Context, r workflow.HeaderReader) (context.Context, error) {
	if t := extract(r); t != "" {
		return tracing.Continue(ctx, t), nil
	}
	return ctx, nil
}

// ExtractToWorkflow implements workflow.ContextPropagator.
func (propagator) ExtractToWorkflow(ctx workflow.Context, r workflow.HeaderReader) (workflow.Context, error) {
	if t := extract(r); t != "" {
		return workflow.WithValue(ctx, carriedKey{}, t), nil
	}
	return ctx, nil
}

func extract(r workflow.HeaderReader) webhook.Traceparent {
	payload, ok := r.Get(traceHeader)
	if !ok {
		return ""
	}
	var text string
	if err := converter.GetDefaultDataConverter().FromPayload(payload, &text); err != nil {
		return ""
	}
	return webhook.ParseTraceparent(text)
}

// runTracer writes the spans of runs.
type runTracer struct {
	interceptor.InterceptorBase
	tracer *tracing.Tracer
}

// InterceptWorkflow implements interceptor.WorkerInterceptor.
func (i *runTracer) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &tracedRun{interceptor.WorkflowInboundInterceptorBase{Next: next}, i.tracer}
}

type tracedRun struct {
	interceptor.WorkflowInboundInterceptorBase
	tracer *tracing.Tracer
}

// ExecuteWorkflow writes the span once the run has ended. A run that leaves the cache does not return, and a replay has written it.
func (r *tracedRun) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	out, err := r.Next.ExecuteWorkflow(ctx, in)
	if t, ok := ctx.Value(carriedKey{}).(webhook.Traceparent); ok && !workflow.IsReplaying(ctx) {
		info := workflow.GetInfo(ctx)
		failure := err
		if workflow.IsContinueAsNewError(err) {
			failure = nil
		}
		r.tracer.Workflow(t, info.WorkflowType.Name, info.WorkflowStartTime, workflow.Now(ctx), failure)
	}
	return out, err
}
