package webhook_test

import (
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/schemas"
	"waybill/webhook"
)

// at is when things happen in these tests: with a fraction, and not in UTC.
var at = time.Date(2026, 5, 27, 16, 32, 0, 123456789, time.FixedZone("CEST", 2*60*60))

const auctionID = "9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13"

// dialect returns one of the dialects that come with Waybill.
func dialect(t *testing.T, name string) *webhook.Dialect {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), name+".json")
	require.NoError(t, err)
	d, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	return d
}

// fields returns the fields that a CodeInvalid error names, in order.
func fields(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	require.Equal(t, webhook.CodeInvalid, webhook.ErrorCode(err))
	var e *webhook.Error
	require.ErrorAs(t, err, &e)
	var out []string
	for _, f := range e.Fields {
		require.NotEmpty(t, f.Detail)
		out = append(out, f.Field)
	}
	return out
}
