package activities

import (
	"cmp"
	"context"

	"waybill/webhook"
)

// SetEnabled disables or enables an endpoint for a person who signaled a workflow.
func (a *Activities) SetEnabled(ctx context.Context, in SetEnabledInput) error {
	ctx = byTemporal(ctx)
	var err error
	if in.Enabled {
		_, err = a.engine.EnableEndpoint(ctx, in.Tenant, in.EndpointID, webhook.Change{By: webhook.BySignal, At: a.now()})
	} else {
		_, err = a.engine.DisableEndpoint(ctx, in.Tenant, in.EndpointID, webhook.Change{By: webhook.BySignal, Reason: cmp.Or(in.Reason, "disabled by a signal"), At: a.now()})
	}
	return a.translate(ctx, "set enabled", err)
}
