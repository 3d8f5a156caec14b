package activities

import "go.temporal.io/sdk/activity"

// registry is what a Temporal worker has of this.
type registry interface {
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// Register registers the activities under the names that workflows, and recorded histories, call them by.
func Register(r registry, a *Activities) {
	for name, f := range map[string]any{
		"Attempt": a.Attempt, "Follow": a.Follow, "Wake": a.Wake, NameSetStatus: a.SetStatus, NameSetEnabled: a.SetEnabled,
	} {
		r.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}
