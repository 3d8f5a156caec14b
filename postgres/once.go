package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	// claimOnce waits for a transaction that claimed the same key before: if that commits, the key is taken.
	claimOnce = `
		INSERT INTO idempotency_keys (scope, hash, digest, created_at) VALUES ($1, $2, $3, clock_timestamp())
		ON CONFLICT DO NOTHING RETURNING true`

	selectOnce = `SELECT digest, answer_sealed FROM idempotency_keys WHERE scope = $1 AND hash = $2`

	answerOnce = `UPDATE idempotency_keys SET answer_sealed = $3 WHERE scope = $1 AND hash = $2`

	// forgetOnce uses now() instead of clock_timestamp(), so that the index can serve the bound.
	forgetOnce = `
		WITH old AS MATERIALIZED (
			SELECT scope, hash FROM idempotency_keys WHERE created_at < now() - $1::bigint * interval '1 millisecond'
			ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
		), deleted AS (
			DELETE FROM idempotency_keys k USING old WHERE k.scope = old.scope AND k.hash = old.hash RETURNING 1
		)
		SELECT count(*) FROM deleted`
)

func onceLocation(o *store.Once) location {
	return location{"idempotency_keys.answer_sealed", o.Scope + "/" + hex.EncodeToString(o.Hash[:])}
}

// transactOnce is transact for a method that creates something and takes a store.Once. The key is claimed before create runs, and
// so before any other lock.
func (s *Store) transactOnce(ctx context.Context, what string, once *store.Once, create func(tx *sqlx.Tx) error) error {
	if once == nil {
		return s.transact(ctx, what, create)
	}
	err := s.transact(ctx, what, func(tx *sqlx.Tx) error {
		if err := s.claimOnce(ctx, tx, once); err != nil {
			return err
		}
		if err := create(tx); err != nil {
			return err
		}
		answer, err := once.Answer()
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, answerOnce, once.Scope, once.Hash[:], s.keys.seal(answer, onceLocation(once)))
		return err
	})
	return s.confirmedRepetition(ctx, err)
}

// confirmedRepetition returns err, once the answer that it repeats is confirmed if it is a store.Repetition.
func (s *Store) confirmedRepetition(ctx context.Context, err error) error {
	var again *store.Repetition
	if !errors.As(err, &again) {
		return err
	}
	return cmp.Or(s.confirm(ctx), err)
}

// claimOnce claims the key, or returns why it cannot: a store.Repetition or a conflict.
func (s *Store) claimOnce(ctx context.Context, tx *sqlx.Tx, once *store.Once) error {
	var claimed []bool
	if err := tx.SelectContext(ctx, &claimed, claimOnce, once.Scope, once.Hash[:], once.Digest[:]); err != nil || len(claimed) > 0 {
		return err
	}
	if err := s.takenOnce(ctx, tx, once); !missing(err) {
		return err
	}
	return webhook.Errorf(webhook.CodeUnavailable, "the Idempotency-Key was forgotten a moment ago; send the request again")
}

// LookOnce implements store.Repetitions.
func (s *Store) LookOnce(ctx context.Context, once *store.Once) error {
	if once == nil {
		return nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err := s.takenOnce(ctx, s.db, once)
	if missing(err) {
		return nil
	}
	return s.confirmedRepetition(ctx, failed("look for an idempotency key", err))
}

// takenOnce returns a store.Repetition, a conflict, or sql.ErrNoRows: the key is not taken.
func (s *Store) takenOnce(ctx context.Context, q sqlx.QueryerContext, once *store.Once) error {
	var first struct {
		Digest []byte `db:"digest"`
		Sealed []byte `db:"answer_sealed"`
	}
	err := sqlx.GetContext(ctx, q, &first, selectOnce, once.Scope, once.Hash[:])
	switch {
	case err != nil:
		return err
	case !bytes.Equal(first.Digest, once.Digest[:]):
		return webhook.Errorf(webhook.CodeIdempotencyConflict, "the Idempotency-Key was used for another request, or by another caller")
	}
	answer, err := s.keys.open(first.Sealed, onceLocation(once))
	if err != nil {
		return err
	}
	return &store.Repetition{Answer: answer}
}

// ForgetOnce implements store.OnceKeys.
func (s *Store) ForgetOnce(ctx context.Context, age time.Duration, limit int) (bool, error) {
	var deleted int
	err := s.get(ctx, &deleted, forgetOnce, age.Milliseconds(), limit)
	return deleted == limit, failed("forget idempotency keys", err)
}
