package postgres_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// Each delivery that Waybill itself gives up has a line with its ids, whichever way; what a person cancels has one of the audit log.
func TestCanceled_Logged(t *testing.T) {
	t.Parallel()
	log := &bytes.Buffer{}
	b := setup(t, func(o *postgres.Options) { o.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	b.tenant("acme")
	e := b.endpoint("acme")
	told := func(d *webhook.Delivery, reason string) {
		t.Helper()
		want := fmt.Sprintf(`level=WARN msg="a delivery is canceled" tenant=acme event_id=%s delivery_id=%s endpoint_id=%s reason="%s"`, d.EventID, d.ID, e.ID, reason)
		require.Equal(t, 1, strings.Count(log.String(), want), log)
	}
	var old []*webhook.Delivery
	for range 2 {
		old = append(old, b.held(e.ID))
	}
	b.exec(`UPDATE deliveries SET held_at = now() - interval '2 hours'`)
	test := b.held(e.ID)
	b.exec(`UPDATE deliveries SET held_at = now() - interval '2 hours', test = true WHERE id = $1`, test.ID)
	more, err := b.ExpireHeld(t.Context(), map[string]time.Duration{"standard": time.Hour}, now(), 3)
	require.NoError(t, err)
	require.True(t, more)
	more, err = b.ExpireHeld(t.Context(), map[string]time.Duration{"standard": time.Hour}, now(), 3)
	require.NoError(t, err)
	require.False(t, more)
	for _, d := range old {
		told(d, "held for longer than 1h")
	}
	require.NotContains(t, log.String(), test.ID.String())

	waits := b.held(e.ID)
	b.enable(e.ID)
	attempted, asked := b.find(b.delivery().ID), b.delivery()
	_, err = b.CancelDelivery(store.WithActor(t.Context(), store.Actor{Name: "admin"}), "acme", asked.ID, "obsolete", now())
	require.NoError(t, err)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	_, _, err = b.CancelDeliveriesOfDeleted(t.Context(), "acme", e.ID, "the endpoint was deleted", now(), 10)
	require.NoError(t, err)
	told(waits, "the endpoint was deleted")
	_, err = b.CancelDelivery(t.Context(), "acme", attempted.ID, "the endpoint was deleted", now())
	require.NoError(t, err)
	told(attempted, "the endpoint was deleted")
	require.Equal(t, 4, strings.Count(log.String(), "a delivery is canceled"), log)
}
