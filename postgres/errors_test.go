package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestFailed(t *testing.T) {
	t.Parallel()
	require.NoError(t, failed("x", nil))
	for code, errs := range map[webhook.Code][]error{
		webhook.CodeUnavailable: {
			driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, io.EOF, io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled,
			&net.OpError{Op: "dial", Err: errors.New("refused")}, errNoConnection, errUnconfirmed, pqCode("08006"), pqCode("28P01"), pqCode("53100"), pqCode("53300"),
			pqCode("57P01"), pqCode("57P02"), pqCode("57P03"), pqCode("57014"), pqCode("25006"), pqCode("40001"), pqCode("40P01"),
			pqCode("58030"), pqCode("42P01"), pqCode("3D000"),
		},
		webhook.CodeInvalid:  {pqCode("22021")},
		webhook.CodeNotFound: {notFound("event", "x")},
		webhook.CodeInternal: {errors.New("bug"), pqCode("42601"), pqCode("23505"), pqCode("23514"), pqCode("22P02")},
	} {
		for _, err := range errs {
			got := failed("accept events", fmt.Errorf("wrapped: %w", err))
			require.Equal(t, code, webhook.ErrorCode(got), "%v", err)
			require.ErrorIs(t, got, err)
			require.ErrorContains(t, got, err.Error())
		}
	}
}

func pqCode(code pqerror.Code) error { return &pq.Error{Code: code, Message: "as Postgres says it"} }

func TestFailed_LetsARefusalThrough(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	require.Equal(t, no, unrefused(failed("x", refusal{no})))
	away := &net.OpError{Op: "dial", Err: no}
	require.Equal(t, error(away), unrefused(failed("x", refusal{away})), "whatever the caller's function returned")
}
