package main_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// exec runs a statement on a table of the group's schema, which {} in the statement stands for.
func (g *group) exec(t *testing.T, table, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	name := pq.QuoteIdentifier(g.schema) + "." + pq.QuoteIdentifier(table)
	for {
		_, err := g.db.ExecContext(ctx, strings.ReplaceAll(statement, "{}", name), args...)
		if e := pq.As(err); e != nil && e.Code == "40P01" {
			continue // it locks in no order, beside Waybill at work
		}
		require.NoError(t, err)
		return
	}
}

// dispatch is an event that is set aside, as the API shows it.
type dispatch struct {
	ID         string     `json:"id"`
	Tenant     string     `json:"tenant"`
	EventID    string     `json:"event_id"`
	Tries      int        `json:"tries"`
	Error      string     `json:"error"`
	SetAsideAt *time.Time `json:"set_aside_at"`
}

func (tn *tenant) setAside(t *testing.T) []dispatch {
	t.Helper()
	var list struct {
		Data []dispatch `json:"data"`
	}
	tn.call(t, "GET", "/v1/dispatches", nil).is(t, 200, &list)
	return list.Data
}

// Events that Temporal refuses, because their type is longer than a search attribute may be, hold up no other event. They are tried
// again and again, are set aside where the administrator sees them, and are delivered once what was wrong is mended.
func TestRefusedEvents(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "api", "WAYBILL_DISPATCH=false")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	const bad = 50
	var refused []*receipt
	for n := range bad {
		refused = append(refused, tn.publish(t, fields{"id": fmt.Sprintf("bad-%d", n), "type": "order.confirmed", "data": n}, 1))
	}
	g.exec(t, "events", "UPDATE {} SET event_type = repeat('x', 3000) WHERE event_id LIKE 'bad-%'")
	first := tn.publish(t, confirmed, 1)

	w := g.own(t, "worker")
	tn.waitDelivery(t, first.Deliveries[0].ID, "delivered", 1)
	await(t, patience, "each of them to be refused", func() error {
		for n := range bad {
			if !strings.Contains(w.read(), fmt.Sprintf("event_id=bad-%d ", n)) {
				return fmt.Errorf("bad-%d is not in the log", n)
			}
		}
		return nil
	})
	for range 10 {
		tn.publishAnother(t)
	}
	require.NotContains(t, w.read(), "workflows do not start", "the engine is not taken to be down")
	require.Empty(t, tn.setAside(t), "they have tries left")
	require.Equal(t, "pending", tn.delivery(t, refused[0].Deliveries[0].ID).Status)

	g.exec(t, "dispatches", "UPDATE {} SET tries = 9, lease_until = now()")
	await(t, patience, "all to be set aside", func() error {
		if n := len(tn.setAside(t)); n != bad {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	shown := tn.setAside(t)[0]
	require.Equal(t, tn.id, shown.Tenant)
	require.Equal(t, "bad-0", shown.EventID)
	require.GreaterOrEqual(t, shown.Tries, 10)
	require.Contains(t, shown.Error, "WaybillEventType")
	require.NotNil(t, shown.SetAsideAt)

	g.exec(t, "events", "UPDATE {} SET event_type = 'order.confirmed' WHERE event_id = 'bad-0'")
	tn.call(t, "POST", "/v1/dispatches/"+shown.ID+"/retry", nil).is(t, 202, nil)
	tn.waitDelivery(t, refused[0].Deliveries[0].ID, "delivered", 1)
	require.Len(t, tn.setAside(t), bad-1)
	r.wait(t, 12)
}
