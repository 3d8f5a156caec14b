package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"waybill/postgres"
	"waybill/webhook"
)

// reseal seals everything with the first encryption key, and ends. It can be interrupted and run again.
func reseal(ctx context.Context, s *settings, log *slog.Logger) (err error) {
	db, err := postgres.Open(postgres.Options{
		URL: s.DatabaseURL, Schema: s.DatabaseSchema, MaxConns: 2, Keys: s.keys, Failpoint: s.failpoint, Logger: log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.CheckKeys(ctx); err != nil {
		return wrongKeys(err)
	}
	done, err := db.Reseal(ctx)
	log.Info("resealed", "key", s.keys[0].ID, "values", done.Resealed, "failed", done.Failed, "left", done.Left)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: what is resealed stays so, and the next run goes on from there")
	case err != nil:
		return err
	case done.Failed > 0:
		return fmt.Errorf("%d values do not open with the keys of WAYBILL_ENCRYPTION_KEYS and stay as they are; the log says which", done.Failed)
	case done.Left > 0:
		return fmt.Errorf("%d values are still sealed with another key: their rows are locked, or a process seals with that key; run it again", done.Left)
	}
	return nil
}

// wrongKeys names the variable where CheckKeys has refused its keys.
func wrongKeys(err error) error {
	var wrong *webhook.Error
	if !errors.As(err, &wrong) || wrong.Code != webhook.CodeInvalid {
		return err
	}
	return fmt.Errorf("WAYBILL_ENCRYPTION_KEYS: %s", wrong.Message)
}
