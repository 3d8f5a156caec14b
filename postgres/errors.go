package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"waybill/store"
	"waybill/webhook"
)

// failed is the one place that turns an error of the database into a webhook.Error. what names the call, for the log. An
// error that has a code already keeps it, and so does a store.Repetition; nil stays nil.
func failed(what string, err error) error {
	var known *webhook.Error
	var again *store.Repetition
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(refusal)), errors.As(err, &known), errors.As(err, &again):
		return err
	case unavailable(err):
		return webhook.Errorf(webhook.CodeUnavailable, "the database is not available").WithCause(fmt.Errorf("%s: %w", what, err))
	case pq.As(err, pqerror.CharacterNotInRepertoire, pqerror.UntranslatableCharacter) != nil:
		return webhook.Errorf(webhook.CodeInvalid, "a text has a character that cannot be stored").WithCause(fmt.Errorf("%s: %w", what, err))
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// unavailable reports whether the same call may succeed later without a change of the call.
func unavailable(err error) bool {
	if e := pq.As(err); e != nil {
		return unavailableCode(e.Code)
	}
	var network net.Error
	for _, known := range []error{
		driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		context.DeadlineExceeded, context.Canceled, errNoConnection, errUnconfirmed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, &network)
}

func unavailableCode(code pqerror.Code) bool {
	switch code {
	case pqerror.ReadOnlySQLTransaction, pqerror.IdleInTransactionSessionTimeout, pqerror.FeatureNotSupported, // a standby, or a primary that was demoted
		pqerror.ObjectNotInPrerequisiteState, // "recovery is in progress": what confirm asks of a standby
		pqerror.QueryCanceled, pqerror.AdminShutdown, pqerror.CrashShutdown, pqerror.CannotConnectNow, pqerror.DatabaseDropped,
		pqerror.TRSerializationFailure, pqerror.TRDeadlockDetected, pqerror.LockNotAvailable,
		pqerror.UndefinedTable, pqerror.UndefinedFunction, pqerror.UndefinedColumn, // before a migration that is under way
		pqerror.InvalidCatalogName, pqerror.InvalidSchemaName: // before the first one
		return true
	}
	switch code.Class() {
	case "08", // connection exceptions
		"28", // the password is being changed, or the role is not there yet
		"53", // too many connections, disk full, out of memory
		"58": // the system below Postgres: input and output errors
		return true
	}
	return false
}

func notFound(what, id string) error {
	return webhook.Errorf(webhook.CodeNotFound, "there is no %s %q", what, id)
}

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// orNotFound turns the error of a missing row into CodeNotFound.
func orNotFound(err error, what, id string) error {
	if missing(err) {
		return notFound(what, id)
	}
	return err
}

// safely turns a panic of do into an error, so that one caller or one row can neither end the process nor block the others.
func safely(do func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = webhook.Errorf(webhook.CodeInternal, "an internal error; the log has it").WithCause(fmt.Errorf("panic: %v\n%s", reason, debug.Stack()))
		}
	}()
	return do()
}
