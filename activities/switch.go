package activities

import (
	"context"
	"fmt"
)

// Switch disables or enables an endpoint for a person who signaled a workflow, and tells the others.
func (a *Activities) Switch(ctx context.Context, in SwitchInput) error {
	return a.translate(ctx, "switch", a.switchEndpoint(ctx, &in))
}

func (a *Activities) switchEndpoint(ctx context.Context, in *SwitchInput) error {
	if in.Enabled {
		_, changed, err := a.store.EnableEndpoint(ctx, in.Tenant, in.EndpointID, a.now())
		if err != nil {
			return fmt.Errorf("enable an endpoint: %w", err)
		}
		if changed {
			a.engine.EndpointEnabled(in.Tenant, in.EndpointID)
		}
		return nil
	}
	reason := in.Reason
	if reason == "" {
		reason = "disabled by a signal"
	}
	_, changed, err := a.store.DisableEndpoint(ctx, in.Tenant, in.EndpointID, reason, a.now())
	if err != nil {
		return fmt.Errorf("disable an endpoint: %w", err)
	}
	if changed {
		a.engine.EndpointDisabled(in.Tenant, in.EndpointID, reason)
	}
	return nil
}
