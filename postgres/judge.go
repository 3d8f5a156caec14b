package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// errUnconfirmed is the error of a change that is stored on the primary, and may be missing on its synchronous standby.
var errUnconfirmed = errors.New("the synchronous standby did not confirm in time, so the change counts as not made")

// confirmStored has its transaction wait for the synchronous standby, which confirms in order: what the transaction has read is on both
// when it ends. Postgres makes nobody wait who only reads, so whoever answers that something is stored already, and stores nothing
// himself, needs this.
const confirmStored = `SELECT pg_logical_emit_message(true, 'waybill', '')`

// confirm returns once the synchronous standby has what was read before.
func (s *Store) confirm(ctx context.Context) error {
	return failed("wait for the standby", s.execHot(ctx, confirmStored))
}

// notice gets the server's warnings. A COMMIT waits for the synchronous standby. When our request to cancel reaches it there, it
// ends with a warning and in success: the change is in force, and lost if the standby takes over. The warning has no code of its own
// and its text is translated, but it has the name of the function.
func (c *boundConn) notice(n *pq.Error) {
	if n.Routine == "SyncRepWaitForLSN" {
		c.unconfirmed = true
	}
}

// judge makes the success of a call that the standby did not confirm an error, and notes that a server takes no writes any more.
// Such a connection is not used again: the primary is elsewhere.
func (c *boundConn) judge(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF): // EOF comes after the last row
		if c.unconfirmed {
			c.unconfirmed = false
			return errUnconfirmed
		}
	case pq.As(err, pqerror.ReadOnlySQLTransaction) != nil:
		c.readOnly = true
	}
	return err
}

func (c *boundConn) judgeRows(rows driver.Rows, err error) (driver.Rows, error) {
	if err != nil {
		return nil, c.judge(err)
	}
	return &boundRows{rows.(driver.RowsNextResultSet), c}, nil
}

func (c *boundConn) judgeResult(result driver.Result, err error) (driver.Result, error) {
	if err = c.judge(err); err != nil {
		return nil, err
	}
	return result, nil
}
