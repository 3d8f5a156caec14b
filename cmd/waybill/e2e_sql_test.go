package main_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// publishCall is the text of a call of publish() in the group's schema.
func (g *group) publishCall(args string) string {
	return pq.QuoteIdentifier(g.schema) + ".publish(" + args + ")"
}

func (g *group) begin(t *testing.T) *sql.Tx {
	t.Helper()
	tx, err := g.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// An event that a producer's own transaction publishes is delivered as if it had come through the API, and is not
// delivered if the transaction is rolled back.
func TestSQL_Publish(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	publish := `SELECT ` + s.group.publishCall(`$1, 'order.confirmed', $2, occurred_at => '2026-05-27T14:32:00Z', attributes => '{"shop": "oslo"}'`)
	const data = `{ "n":1e2 ,"note":"é 😀" }`

	undone := s.group.begin(t)
	_, err := undone.ExecContext(t.Context(), publish, tn.id, `"never"`)
	require.NoError(t, err)
	require.NoError(t, undone.Rollback())
	tx := s.group.begin(t)
	var id string
	require.NoError(t, tx.QueryRowContext(t.Context(), publish, tn.id, data).Scan(&id))
	_, err = tx.ExecContext(t.Context(), publish, tn.id+"-unknown", data)
	require.NoError(t, err)
	require.NoError(t, tx.Commit())

	requireBytes(t, confirmedBody, r.wait(t, 1)[0].body)
	var event struct {
		ID         string
		Type       string
		Attributes map[string]string
	}
	tn.call(t, "GET", tn.path+"/events/"+id, nil).is(t, 200, &event)
	require.Equal(t, id, event.ID)
	require.Equal(t, "oslo", event.Attributes["shop"])
	tn.waitDelivery(t, tn.deliveries(t, "")[0].ID, "delivered", 1)
	tn.publishAnother(t)
	r.wait(t, 2)

	require.Equal(t, 1, s.group.count(t, "outbox_quarantine", tn.id+"-unknown"))
	require.Contains(t, string(tn.call(t, "GET", "/metrics", nil).body), `waybill_outbox_rows_total{result="quarantined"}`)
}

// What was published for a tenant that is not there is looked at through the API, put back once the tenant is there, and then
// delivered as it was written; another such row is deleted.
func TestSQL_Quarantine(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn := newTenant(t, s, "standard", nil)
	late := unique("late")
	publish := `SELECT ` + s.group.publishCall(`$1, 'order.confirmed', '{ "n" : 1e2 }'`)
	for range 2 {
		_, err := s.group.db.ExecContext(t.Context(), publish, late)
		require.NoError(t, err)
	}
	type row struct {
		Position           int64
		Tenant, Code, Data string
	}
	var rows []row
	await(t, patience, "two rows in quarantine", func() error {
		var page struct{ Data []row }
		tn.call(t, "GET", "/v1/quarantine?limit=200", nil).is(t, 200, &page)
		rows = slices.DeleteFunc(page.Data, func(r row) bool { return r.Tenant != late })
		if len(rows) != 2 {
			return fmt.Errorf("there are %d", len(rows))
		}
		return nil
	})
	path := fmt.Sprintf("/v1/quarantine/%d", rows[1].Position)
	var shown row
	tn.call(t, "GET", path, nil).is(t, 200, &shown)
	require.Equal(t, "not_found", shown.Code)
	require.Equal(t, `{ "n" : 1e2 }`, shown.Data)

	r := newReceiver(t)
	tn.call(t, "POST", "/v1/tenants", fields{"id": late, "name": "late", "dialect": "standard"}).is(t, 201, nil)
	tn.call(t, "POST", "/v1/tenants/"+late+"/endpoints", fields{"url": r.url + "/hook", "event_types": []string{"*"}}).is(t, 201, nil)
	tn.call(t, "POST", path+"/retry", nil).is(t, 202, nil)
	require.Contains(t, string(r.wait(t, 1)[0].body), `{ "n" : 1e2 }`)
	tn.call(t, "POST", path+"/retry", nil).isProblem(t, 404, "not_found")
	other := fmt.Sprintf("/v1/quarantine/%d", rows[0].Position)
	tn.call(t, "DELETE", other, nil).is(t, 204, nil)
	tn.call(t, "GET", other, nil).isProblem(t, 404, "not_found")
}

// Each publication of a transaction becomes one event, however many processes look for it and whichever of them is
// killed.
func TestSQL_Killed(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s, w := g.own(t, "serve"), g.own(t, "worker")
	tn := newTenant(t, s, "standard", nil)
	const events = 2000
	bulk := func() {
		t.Helper()
		_, err := g.db.ExecContext(t.Context(),
			`SELECT `+g.publishCall("$1, 'order.confirmed', to_json(n)")+` FROM generate_series(1, $2) n`, tn.id, events)
		require.NoError(t, err)
	}
	for round, killed := range []*server{s, w, s} {
		bulk()
		await(t, patience, "the first to be ingested", func() error {
			if g.count(t, "events", tn.id) <= round*events {
				return errors.New("none is")
			}
			return nil
		})
		killed.kill(t)
		await(t, patience, "the rest to be ingested by the other", func() error {
			if left := g.count(t, "outbox", tn.id); left > 0 {
				return fmt.Errorf("%d are left", left)
			}
			return nil
		})
		killed.restart(t)
	}
	require.Equal(t, 3*events, g.count(t, "events", tn.id))
	require.Zero(t, g.count(t, "outbox_quarantine", tn.id))

	// Rows committed while no process runs are found by the next process.
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	w.kill(t)
	s.kill(t)
	_, err := g.db.ExecContext(t.Context(), `SELECT `+g.publishCall("$1, 'order.confirmed', '7'"), tn.id)
	require.NoError(t, err)
	s.restart(t)
	require.True(t, strings.HasSuffix(string(r.wait(t, 1)[0].body), `"data":7}`))
}
