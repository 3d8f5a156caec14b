package worker

import (
	"context"
	"time"
)

// warnOfCertificates tells the operator of client certificates that end. The log tells it where no tenant is the operator's.
func (u *Upkeep) warnOfCertificates(ctx context.Context) error {
	return untilDone(ctx, func() (more bool, err error) {
		warned, err := u.opts.Store.WarnOfCertificates(ctx, time.Now(), warnPage)
		u.ending.Add(float64(len(warned)))
		for _, c := range warned {
			u.opts.Logger.Warn("an endpoint's client certificate ends", "tenant", c.TenantID, "endpoint_id", c.ID, "expires_at", c.ExpiresAt)
		}
		return len(warned) == warnPage, err
	})
}
