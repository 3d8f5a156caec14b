package worker

import (
	"context"
	"log/slog"
	"time"

	"waybill/webhook"
)

// Rhythm of the upkeep.
const (
	recoveryInterval  = time.Second
	recoveryLimit     = 100
	partitionInterval = time.Hour
)

// RecoveryStarter starts the recovery of an endpoint; that one runs already is no error.
type RecoveryStarter interface {
	StartRecovery(ctx context.Context, tenant string, endpoint webhook.EndpointID) error
}

// Upkeep does what must happen now and then in one process at least, and may happen in several.
type Upkeep struct {
	outbox  Outbox
	starter RecoveryStarter
	log     *slog.Logger
}

// NewUpkeep returns an Upkeep.
func NewUpkeep(outbox Outbox, starter RecoveryStarter, log *slog.Logger) *Upkeep {
	return &Upkeep{outbox: outbox, starter: starter, log: log}
}

// Run works until the context is done.
func (u *Upkeep) Run(ctx context.Context) {
	go every(ctx, partitionInterval, reporting(ctx, u.log, "partitions could not be created; trying on", u.outbox.EnsurePartitions))
	every(ctx, recoveryInterval, reporting(ctx, u.log, "recoveries could not be started; trying on", u.startRecoveries))
}

// startRecoveries starts what enabling an endpoint could not: the process died, or Temporal was down.
func (u *Upkeep) startRecoveries(ctx context.Context) error {
	due, err := u.outbox.EndpointsToRecover(ctx, recoveryLimit)
	if err != nil {
		return err
	}
	for _, e := range due {
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		err := u.starter.StartRecovery(ctx, e.TenantID, e.ID)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
