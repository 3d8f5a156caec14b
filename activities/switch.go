package activities

import (
	"cmp"
	"context"
)

// Switch disables or enables an endpoint for a person who signaled a workflow.
func (a *Activities) Switch(ctx context.Context, in SwitchInput) error {
	var err error
	if in.Enabled {
		_, err = a.engine.EnableEndpoint(ctx, in.Tenant, in.EndpointID, a.now())
	} else {
		_, err = a.engine.DisableEndpoint(ctx, in.Tenant, in.EndpointID, cmp.Or(in.Reason, "disabled by a signal"), a.now())
	}
	return a.translate(ctx, "switch", err)
}
