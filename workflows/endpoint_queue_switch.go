package workflows

import (
	"slices"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
)

// switchChannel is the channel of a signal that disables or enables the endpoint. An event's workflow takes the same signals; the
// queue takes them too, because what is held leaves no other workflow to signal.
type switchChannel struct {
	name    string
	channel workflow.ReceiveChannel
}

func (q *queue) receiveSwitches(ctx workflow.Context) {
	for _, s := range signals {
		if !switches(s.name) {
			continue
		}
		c := workflow.GetSignalChannelWithOptions(ctx, s.name, workflow.SignalChannelOptions{Description: s.description})
		q.switches = append(q.switches, switchChannel{s.name, c})
	}
}

func (q *queue) isSwitched() bool {
	return slices.ContainsFunc(q.switches, func(s switchChannel) bool { return s.channel.Len() > 0 })
}

// obeySwitches disables or enables the endpoint in the database for the signals that have come. One that names another endpoint, or
// cannot be read, does nothing and is logged.
func (q *queue) obeySwitches(ctx workflow.Context) error {
	for _, s := range q.switches {
		var raw converter.RawValue
		for s.channel.ReceiveAsync(&raw) {
			in, err := decodeSignal(raw.Payload())
			if err != nil || in.EndpointID != AllEndpoints && in.EndpointID != q.in.EndpointID.String() {
				workflow.GetLogger(ctx).Warn("a signal does nothing: it cannot be read, or names another endpoint", "signal", s.name, "error", err)
				continue
			}
			if in.Informed {
				continue // the database has the change, and the drain sees it
			}
			change := activities.SetEnabledInput{
				Tenant: q.in.Tenant, EndpointID: q.in.EndpointID, Enabled: s.name == SignalEnableEndpoint, Reason: cleanReason(in.Reason),
			}
			ctx := housekeeping(ctx, q.in.Tenant, s.name+" "+q.name())
			if err := workflow.ExecuteActivity(ctx, activities.NameSetEnabled, change).Get(ctx, nil); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				workflow.GetLogger(ctx).Error("an endpoint could not be disabled or enabled", "endpoint_id", q.in.EndpointID, "error", err)
			}
		}
	}
	return nil
}
