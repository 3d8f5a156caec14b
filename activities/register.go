package activities

import "go.temporal.io/sdk/activity"

// registry is the part of a Temporal worker that Register needs.
type registry interface {
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// Register registers the activities under the names that workflows and recorded histories use.
func Register(r registry, a *Activities) {
	for name, f := range map[string]any{
		"Attempt": a.Attempt, "Follow": a.Follow, "Drain": a.Drain, NameSetStatus: a.SetStatus, NameSetEnabled: a.SetEnabled,
		"EraseTenant": a.EraseTenant, "Challenge": a.Challenge,
	} {
		r.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// RegisterNotices registers the activity that sends mail, on the task queue of the processes that can.
func RegisterNotices(r registry, n *Notices) {
	r.RegisterActivityWithOptions(n.SendNotice, activity.RegisterOptions{Name: "SendNotice"})
}
