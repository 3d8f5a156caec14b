package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// Notice is what a tenant's contact is to be told of an endpoint, as it stands at one moment.
type Notice struct {
	// Tenant has what a mail needs: id, name, URL, dialect and contact.
	Tenant     webhook.Tenant
	EndpointID webhook.EndpointID
	// URL is the endpoint's. Only its host is for a mail.
	URL string
	// Timeout is the endpoint's own; nil: the dialect's.
	Timeout *webhook.Duration

	// Due says that something is to be told.
	Due bool
	// Exhausted is how many deliveries became exhausted since the last mail. Since is when the first of them did, or when the
	// endpoint was disabled; LastError and LastAt are of the latest.
	Exhausted int64
	Since     *time.Time
	LastError string
	LastAt    *time.Time
	// DisabledAt says that the endpoint was disabled since the last mail.
	DisabledAt *time.Time
	// WorkingAt says since when the endpoint works again after a mail about trouble; nil: it does not, or nobody was told of trouble.
	WorkingAt *time.Time

	// DisabledNow is since when the endpoint is disabled, nil while it is enabled; DisabledBy and DisabledReason say by whom and why.
	DisabledNow    *time.Time
	DisabledBy     string
	DisabledReason string
	// Streak is the endpoint's now, and LastSuccessAt the end of its latest streak; nil: none ended.
	Streak        webhook.Streak
	LastSuccessAt *time.Time

	// Mails is how many mails were sent about the endpoint, SentAt the last one about trouble, and InTrouble that none said since
	// that it is over.
	Mails     int64
	SentAt    *time.Time
	InTrouble bool
}

// Working reports whether the endpoint is enabled and its last attempt succeeded, as far as its failures were recorded.
func (n *Notice) Working() bool {
	return n.DisabledNow == nil && n.Streak.Failures == 0 && n.LastSuccessAt != nil &&
		(n.Streak.LastFailureAt == nil || n.LastSuccessAt.After(*n.Streak.LastFailureAt))
}

// Told is what was told of a Notice, or left out for good.
type Told struct {
	Tenant     string
	EndpointID webhook.EndpointID
	// Mails, Exhausted and DisabledAt are those of the Notice. What was added to it since stays due.
	Mails      int64
	Exhausted  int64
	DisabledAt *time.Time
	// Sent says that a mail was sent, and Trouble that it was about trouble.
	Sent, Trouble bool
	// InTrouble says that a mail is to follow when the endpoint works again.
	InTrouble bool
	// ReadAt is when the Notice was read, At when the mail was sent.
	ReadAt, At time.Time
}

// Notices keeps what tenants' contacts are to be told of their endpoints. The writes that it reports gather it (see Attempts,
// Endpoints and Streaks).
type Notices interface {
	// ClaimNotices returns up to limit endpoints of which something is to be told, the longest waiting first, and keeps them from
	// other callers for the time of the lease. It leaves out deleted endpoints, and tenants without a contact or of a dialect in silent.
	ClaimNotices(ctx context.Context, silent []string, lease time.Duration, limit int) ([]EndpointRef, error)
	// ReleaseNotices ends the leases of ClaimNotices.
	ReleaseNotices(ctx context.Context, endpoints []webhook.EndpointID) error
	// Notice answers CodeNotFound for a deleted endpoint, and where there is nothing to tell.
	Notice(ctx context.Context, tenant string, endpoint webhook.EndpointID) (*Notice, error)
	// NoticeTold takes what was told out of the notice, forgets WorkingAt and ends the lease. It reports whether it did: not when
	// another mail was sent since the Notice was read.
	NoticeTold(ctx context.Context, t *Told) (bool, error)
	// NoteWorking notes since when the endpoints work again that a mail said to be in trouble, limit at a time, and returns how many.
	NoteWorking(ctx context.Context, limit int) (int, error)
	// ForgetNotices deletes, limit at a time, what nobody is to be told: of deleted endpoints, of tenants without a contact or of a
	// dialect in silent, and what waits for longer than after without anybody who sends. It returns how many.
	ForgetNotices(ctx context.Context, silent []string, after time.Duration, limit int) (int, error)
}
