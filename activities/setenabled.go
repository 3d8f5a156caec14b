package activities

import (
	"cmp"
	"context"
)

// SetEnabled disables or enables an endpoint for a person who signaled a workflow.
func (a *Activities) SetEnabled(ctx context.Context, in SetEnabledInput) error {
	var err error
	if in.Enabled {
		_, err = a.engine.EnableEndpoint(ctx, in.Tenant, in.EndpointID, a.now())
	} else {
		_, err = a.engine.DisableEndpoint(ctx, in.Tenant, in.EndpointID, cmp.Or(in.Reason, "disabled by a signal"), a.now())
	}
	return a.translate(ctx, "set enabled", err)
}
