package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// A tenant's schema may take so long to check that its rows alone are more than a step has time for. They are ingested all the same,
// and the rows of others after them.
func TestIngest_SlowChecks(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.Timeout = 2 * time.Second })
	b.tenant("slow")
	b.tenant("acme")
	b.exec(`SELECT publish('slow', 'a', '1') FROM generate_series(1, 40)`)
	b.call(`'acme', 'a', '1'`)
	require.Equal(t, store.Ingested{Published: 41}, b.drain(func(in *store.Ingestion) {
		prepare := in.Prepare
		in.Prepare = func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error) {
			if tenant.ID == "slow" {
				time.Sleep(100 * time.Millisecond) // the check: 4 s in all
			}
			return prepare(row, tenant, own)
		}
	}))
}
