package webhook

import "time"

// Limits of a rotation.
const (
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour
)

// SigningKeys are the secrets that sign for an endpoint: its own, or its tenant's where the dialect says so.
type SigningKeys struct {
	Current Secret
	// Previous is the secret before the latest rotation, zero: none. In a header that can list signatures it signs beside Current
	// before PreviousUntil. In a header that has one signature it signs in place of Current before SwitchAt, nil: it does not.
	Previous                Secret
	PreviousUntil, SwitchAt *time.Time
}
