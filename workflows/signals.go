package workflows

import (
	"slices"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// signals lists the signals in the order in which they are read, with the descriptions that the Web UI shows for them and
// for the updates of the same names.
var signals = []struct{ name, description string }{
	{SignalDisableEndpoint, `{"endpoint_id": "ep_...", "reason": "..."} disables the endpoint, for every event; its deliveries are held`},
	{SignalEnableEndpoint, `{"endpoint_id": "ep_..."} enables the endpoint, for every event; its held deliveries go on`},
	{SignalRetryNow, `{"endpoint_id": "ep_..." or "*"} makes an attempt at once, on top of the retry policy`},
	{SignalCancelDelivery, `{"endpoint_id": "ep_..." or "*", "reason": "..."} gives the delivery up`},
}

// receive calls obey with each valid signal until the workflow ends. Invalid ones do nothing and are logged.
func receive(ctx workflow.Context, obey func(ctx workflow.Context, name string, s EndpointSignal)) {
	workflow.GoNamed(ctx, "signals", func(ctx workflow.Context) {
		selector := workflow.NewSelector(ctx)
		for _, signal := range signals {
			c := workflow.GetSignalChannelWithOptions(ctx, signal.name, workflow.SignalChannelOptions{Description: signal.description})
			selector.AddReceive(c, func(c workflow.ReceiveChannel, _ bool) {
				if s, ok := receiveOne(ctx, c, signal.name); ok {
					obey(ctx, signal.name, s)
				}
			})
		}
		for {
			selector.Select(ctx)
		}
	})
}

func receiveOne(ctx workflow.Context, c workflow.ReceiveChannel, name string) (EndpointSignal, bool) {
	for {
		var raw converter.RawValue
		c.Receive(ctx, &raw)
		s, err := decodeSignal(raw.Payload())
		before, decodes := decodeAsBefore(raw.Payload(), name)
		switch {
		case err == nil && decodes && s == before:
			return s, true
		case !changed(ctx, changeStrictSignals):
			if decodes {
				return before, true
			}
			continue // before the change, this blocked the other signals until one of this name could be read
		case err != nil:
			workflow.GetLogger(ctx).Warn("a signal cannot be read and does nothing", "signal", name, "error", err)
			return s, false
		default:
			return s, true
		}
	}
}

func (e *event) obey(ctx workflow.Context, name string, s EndpointSignal) {
	meant := e.meant(s.EndpointID)
	switch {
	case len(meant) == 0:
		workflow.GetLogger(ctx).Warn("a signal names no endpoint of this event", "signal", name, "endpoint_id", s.EndpointID)
	case switches(name) && !s.Informed:
		e.setEndpoints(ctx, name, s, meant)
	case name == SignalCancelDelivery && !s.Informed && slices.ContainsFunc(meant, func(d *delivery) bool { return d.state.Queued }):
		e.cancelMeant(ctx, name, s, meant)
	default:
		e.note(ctx, meant, name, s)
	}
}

func switches(name string) bool { return name == SignalDisableEndpoint || name == SignalEnableEndpoint }

// meant returns the deliveries that a signal or an update names.
func (e *event) meant(endpointID string) []*delivery {
	var meant []*delivery
	for _, d := range e.deliveries {
		if endpointID == AllEndpoints || d.state.EndpointID.String() == endpointID {
			meant = append(meant, d)
		}
	}
	return meant
}

// note tells deliveries what a signal asks of them, which wakes their coroutines.
func (e *event) note(ctx workflow.Context, meant []*delivery, name string, s EndpointSignal) {
	reason := reasonOr(s.Reason, name)
	for _, d := range meant {
		if d.askAsBefore(ctx, name, reason) {
			continue
		}
		if _, err := d.ask(name, reason, s.Informed); err != nil {
			workflow.GetLogger(ctx).Warn("a signal changes nothing", "signal", name, "delivery_id", d.state.ID, "error", err)
		}
	}
}

// setEndpoints disables or enables endpoints in the database for a person's signal, so that it holds for every event, and
// then lets the deliveries obey.
func (e *event) setEndpoints(ctx workflow.Context, name string, s EndpointSignal, meant []*delivery) {
	e.settingEnabled++
	workflow.GoNamed(ctx, name, func(ctx workflow.Context) {
		defer func() { e.settingEnabled-- }()
		if err := e.setEnabled(ctx, name, s.Reason, meant); err != nil {
			workflow.GetLogger(ctx).Error("an endpoint could not be disabled or enabled", "endpoint_id", s.EndpointID, "error", err)
			return
		}
		e.note(ctx, meant, name, s)
	})
}

// setEnabled disables or enables the endpoints of the deliveries in the database. One that fails, such as one that was deleted,
// does not keep the others from it.
func (e *event) setEnabled(ctx workflow.Context, name, reason string, meant []*delivery) error {
	var done []webhook.EndpointID
	var failed error
	for _, d := range meant {
		id := d.state.EndpointID
		if slices.Contains(done, id) {
			continue
		}
		done = append(done, id)
		in := activities.SetEnabledInput{
			Tenant: e.in.Tenant, EndpointID: id, Enabled: name == SignalEnableEndpoint, Reason: cleanReason(reason),
		}
		ctx := housekeeping(ctx, e.in.Tenant, name+" "+d.name())
		if err := workflow.ExecuteActivity(ctx, activities.NameSetEnabled, in).Get(ctx, nil); err != nil {
			if failed == nil {
				failed = err
			}
			if ctx.Err() != nil || !changed(ctx, changeEachEndpoint) {
				break
			}
			workflow.GetLogger(ctx).Error("an endpoint could not be disabled or enabled", "endpoint_id", id, "error", err)
		}
	}
	return failed
}
