package main_test

import (
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// dump is what pg_dump writes of the group's schema.
func (g *group) dump(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "pg_dump", "--schema", g.schema, "--dbname", g.ownerURL).CombinedOutput()
	require.NoError(t, err, "%s", out[:min(len(out), 2000)])
	return string(out)
}

// inDump is a text as pg_dump shows it where the column has bytes, which are written in hexadecimal.
func inDump(text string) string { return hex.EncodeToString([]byte(text)) }

// full is a tenant with something of everything, and what of it must not stay.
type full struct {
	*tenant
	key     string
	event   string // was delivered
	planted canaries
}

func newFull(t *testing.T, g *group, s *server) *full {
	t.Helper()
	f := &full{planted: canaries{
		"the payload": "canary-payload-5521-9034", "a header's value": "canary-header-7730-1188", "an answer": "canary-answer-2204-6617",
		"an attribute": "canary-attribute-8812", "metadata": "canary-metadata-3390", "the URL": "canary-path-6071-4425", "the name": "canary-name-9184-2206",
	}}
	f.tenant = newTenant(t, s, "standard", fields{"name": f.planted["the name"], "retry": fields{"schedule": []string{"1h"}}})
	event := fields{
		"type": "order.confirmed", "data": fields{"note": f.planted["the payload"]}, "attributes": fields{"who": f.planted["an attribute"]},
		"metadata": fields{"who": f.planted["metadata"]},
	}
	path := "/" + f.planted["the URL"]
	good := newReceiver(t, reply{body: f.planted["an answer"]})
	for i, r := range []*receiver{good, newReceiver(t, reply{status: 500, body: f.planted["an answer"]}), newReceiver(t)} {
		body := fields{"url": r.url + path, "event_types": []string{"*"}, "headers": fields{"X-Api-Key": f.planted["a header's value"]}}
		var e endpoint
		f.call(t, "POST", f.path+"/endpoints", body, "Idempotency-Key", fmt.Sprint(i)).is(t, 201, &e)
		if i == 2 {
			f.call(t, "POST", f.path+"/endpoints/"+e.ID+"/disable", fields{"reason": f.planted["the payload"]}).is(t, 200, nil)
		}
	}
	var key struct{ Key string }
	f.call(t, "POST", f.path+"/keys", fields{"name": "k", "scopes": []string{"manage", "publish", "read"}}, "Idempotency-Key", "key").is(t, 201, &key)
	f.key = key.Key
	for range 3 {
		sent := f.publish(t, event, 3)
		f.event = sent.ID
	}
	for _, want := range []struct {
		status string
		n      int
	}{{"delivered", 3}, {"retrying", 3}, {"held", 3}} {
		await(t, patience, "deliveries to be "+want.status, func() error {
			if got := len(f.deliveries(t, "?status="+want.status)); got != want.n {
				return fmt.Errorf("%d are", got)
			}
			return nil
		})
	}
	dump := g.dump(t)
	require.Contains(t, dump, inDump(f.planted["the payload"]), "the search would find it")
	require.Contains(t, dump, f.planted["the URL"])
	require.Contains(t, dump, f.id)
	return f
}

// erasure is the erasure of a tenant as the API shows it.
type erasure struct {
	Status string
	Rows   int64
}

// A tenant with everything is erased while the process is killed in the middle: nothing is left in a dump but that it was erased, and its
// id is free again.
func TestErasure(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve")
	other := newTenant(t, s, "standard", nil)
	other.endpoint(t, newReceiver(t), nil)
	other.publishAnother(t)
	tn := newFull(t, g, s)

	// Somebody's lock stops the erasure after its first pages.
	tx, err := g.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), `SELECT id FROM `+pq.QuoteIdentifier(g.schema)+`.events WHERE tenant_id = $1 FOR UPDATE`, tn.id)
	require.NoError(t, err)
	tn.call(t, "DELETE", tn.path+"?confirm=other", nil).is(t, 422, nil)
	var e erasure
	tn.call(t, "DELETE", tn.path+"?confirm="+tn.id, nil).is(t, 202, &e)
	require.Equal(t, "running", e.Status)
	holder := &caller{s, tn.key}
	require.Equal(t, 401, holder.call(t, "GET", tn.path, nil).status)
	require.Equal(t, 404, tn.call(t, "GET", tn.path, nil).status)
	require.Equal(t, 404, tn.call(t, "POST", tn.path+"/events", fields{"type": "order.confirmed", "data": 1}).status)
	require.Equal(t, 409, tn.call(t, "POST", "/v1/tenants", fields{"id": tn.id, "name": "n", "dialect": "standard"}).status)
	await(t, patience, "the deliveries to be deleted", func() error {
		if n := g.count(t, "deliveries", tn.id); n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
	s.kill(t)
	require.Equal(t, 3, g.count(t, "events", tn.id), "it was killed in the middle")
	// What was under way is not waited for, as there is nothing: the erasure began earlier.
	for _, began := range []string{`tenants SET erased_at = erased_at - interval '3 minutes' WHERE id`, `erasures SET started_at = started_at - interval '3 minutes' WHERE tenant_id`} {
		_, err = g.db.ExecContext(t.Context(), `UPDATE `+pq.QuoteIdentifier(g.schema)+`.`+began+` = $1`, tn.id)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Rollback())
	s.restart(t)

	admin := tn.through(s)
	await(t, 2*patience, "the erasure to be completed", func() error {
		admin.call(t, "GET", "/v1/erasures/"+tn.id, nil).is(t, 200, &e)
		if e.Status != "completed" {
			return fmt.Errorf("it is %+v", e)
		}
		return nil
	})
	require.Greater(t, e.Rows, int64(20))
	g.left(t, tn, 2) // the erasure's row and the audit entry
	again := tn.through(s)
	again.call(t, "POST", "/v1/tenants", fields{"id": tn.id, "name": "anew", "dialect": "standard"}).is(t, 201, nil)
	r := newReceiver(t)
	again.endpoint(t, r, nil)
	again.publishAnother(t)
	require.Len(t, again.deliveries(t, ""), 1)
	other.through(s).publishAnother(t)
}

// left requires that a dump has nothing that was planted, and so many lines that name the tenant.
func (g *group) left(t *testing.T, tn *full, lines int) {
	t.Helper()
	dump := g.dump(t)
	tn.planted.absent(t, "the dump of the database", dump)
	var found []string
	for line := range strings.Lines(dump) {
		if strings.Contains(line, tn.id) || strings.Contains(line, inDump(tn.id)) {
			found = append(found, line)
		}
	}
	require.Len(t, found, lines, "%q", found)
}

// An erased event leaves its ids, and nothing that it said, that was sent or that was answered.
func TestErasure_Event(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve")
	tn := newFull(t, g, s)
	another := tn.publish(t, fields{"type": "order.confirmed", "data": fields{"note": "it stays 4410"}}, 3)
	var first struct {
		Data []struct{ ID string } `json:"data"`
	}
	tn.call(t, "GET", tn.path+"/events", nil).is(t, 200, &first)
	require.Len(t, first.Data, 4)
	for _, e := range first.Data {
		if e.ID != another.ID {
			tn.call(t, "DELETE", tn.path+"/events/"+e.ID, nil).is(t, 204, nil)
		}
	}
	s.kill(t)
	s.restart(t)
	dump := g.dump(t)
	gone := canaries{"an attribute": tn.planted["an attribute"], "metadata": tn.planted["metadata"]}
	gone.absent(t, "the dump of the database", dump)
	require.NotContains(t, dump, inDump(tn.planted["the payload"])) // the endpoint's reason has it as text
	require.Contains(t, dump, inDump("it stays 4410"))
	require.Contains(t, dump, tn.event)
	admin := tn.through(s)
	for _, d := range admin.deliveries(t, "?event="+tn.event) {
		require.Contains(t, []string{"delivered", "canceled"}, d.Status)
		for _, a := range admin.attempts(t, d.ID) {
			require.Empty(t, a.RequestHeaders)
			require.Empty(t, a.ResponseHeaders)
			require.Empty(t, a.ResponseBody)
		}
	}
}
