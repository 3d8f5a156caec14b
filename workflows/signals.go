package workflows

import (
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
)

// signalNames lists the signals in the order in which they are looked at.
var signalNames = []string{SignalDisableEndpoint, SignalEnableEndpoint, SignalRetryNow, SignalCancelDelivery}

// receive calls obey with each signal until the workflow ends.
func receive(ctx workflow.Context, obey func(ctx workflow.Context, name string, s EndpointSignal)) {
	workflow.GoNamed(ctx, "signals", func(ctx workflow.Context) {
		selector := workflow.NewSelector(ctx)
		for _, name := range signalNames {
			selector.AddReceive(workflow.GetSignalChannel(ctx, name), func(c workflow.ReceiveChannel, _ bool) {
				var s EndpointSignal
				c.Receive(ctx, &s)
				obey(ctx, name, s)
			})
		}
		for {
			selector.Select(ctx)
		}
	})
}

func (e *event) obey(ctx workflow.Context, name string, s EndpointSignal) {
	meant := e.meant(name, s.EndpointID)
	switch {
	case len(meant) == 0:
		workflow.GetLogger(ctx).Warn("A signal names no endpoint of this event.", "signal", name, "endpoint", s.EndpointID)
	case switches(name) && !s.Informed:
		e.switchEndpoint(ctx, name, s, meant)
	default:
		note(meant, name, s.Reason)
	}
}

func switches(name string) bool { return name == SignalDisableEndpoint || name == SignalEnableEndpoint }

// meant returns the deliveries that a signal is about.
func (e *event) meant(name, endpointID string) []*delivery {
	var meant []*delivery
	for _, d := range e.deliveries {
		if d.state.EndpointID.String() == endpointID || endpointID == "" && !switches(name) {
			meant = append(meant, d)
		}
	}
	return meant
}

// note tells unsettled deliveries what a signal asks of them, which wakes their coroutines.
func note(meant []*delivery, name, reason string) {
	if reason == "" {
		reason = "signaled " + name
	}
	for _, d := range meant {
		if d.state.Status.Settled() {
			continue
		}
		switch name {
		case SignalDisableEndpoint:
			d.asked.hold, d.asked.enabled, d.asked.because = true, false, reason
		case SignalEnableEndpoint:
			d.asked.hold, d.asked.enabled = false, true
		case SignalRetryNow:
			d.asked.now = true
		case SignalCancelDelivery:
			d.asked.cancel, d.asked.because = true, reason
		}
	}
}

// switchEndpoint writes into the database what a person's signal asked for, so that it holds for every event, and then
// lets the deliveries obey.
func (e *event) switchEndpoint(ctx workflow.Context, name string, s EndpointSignal, meant []*delivery) {
	e.switching++
	workflow.GoNamed(ctx, name, func(ctx workflow.Context) {
		defer func() { e.switching-- }()
		in := activities.SwitchInput{
			Tenant: e.in.Tenant, EndpointID: meant[0].state.EndpointID, Enabled: name == SignalEnableEndpoint, Reason: s.Reason,
		}
		var a *activities.Activities
		if err := workflow.ExecuteActivity(housekeeping(ctx), a.Switch, in).Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Error("An endpoint could not be switched.", "endpoint", s.EndpointID, "error", err)
			return
		}
		note(meant, name, s.Reason)
	})
}
