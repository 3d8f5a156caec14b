package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A tenant adds an event type to its dialect's catalogue: published by API and by SQL it is checked and delivered.
func TestEventTypes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	tn := newTenant(t, s, "rheo", nil)
	r := newReceiver(t)
	const event = `{"type":"parcel.moved","data":{"parcel_id":17}}`
	tn.call(t, "POST", tn.path+"/events", event).isProblem(t, 422, "unknown_event_type")
	body := fields{
		"description": "A parcel changed hands.", "example": fields{"data": fields{"parcel_id": 1}},
		"schema": fields{"type": "object", "required": []string{"parcel_id"}, "properties": fields{"parcel_id": fields{"type": "integer"}}},
	}
	path := tn.path + "/event-types/parcel.moved"
	wrong := tn.call(t, "PUT", path, body.with(fields{"example": fields{"data": fields{"parcel_id": "x"}}})).isProblem(t, 422, "invalid")
	require.Equal(t, "example.data/parcel_id", wrong.Errors[0].Field)
	wrong = tn.call(t, "PUT", path, body.with(fields{"schema": fields{"$ref": "https://elsewhere.example/schema"}})).isProblem(t, 422, "invalid")
	require.Equal(t, "schema", wrong.Errors[0].Field)
	tn.call(t, "PUT", path, body).is(t, 201, nil)

	e := tn.endpoint(t, r, fields{"event_types": []string{"parcel.*"}})
	tn.publish(t, event, 1)
	tn.call(t, "POST", tn.path+"/events", `{"type":"parcel.moved","data":{}}`).isProblem(t, 422, "schema_violation")
	require.Contains(t, string(r.wait(t, 1)[0].body), `"eventType":"parcel.moved"`)
	tn.call(t, "POST", tn.path+"/endpoints/"+e.ID+"/test", nil).is(t, 202, nil)
	require.Contains(t, string(r.wait(t, 2)[1].body), `"data":{"parcel_id":1}`)

	publish := `SELECT ` + s.group.publishCall(`$1, 'parcel.moved', $2`)
	for _, data := range []string{`{"parcel_id":18}`, `{"parcel_id":"none"}`} {
		_, err := s.group.db.ExecContext(t.Context(), publish, tn.id, data)
		require.NoError(t, err)
	}
	require.Contains(t, string(r.wait(t, 3)[2].body), `"data":{"parcel_id":18}`)
	await(t, patience, "the bad row to be in quarantine", func() error {
		a := tn.call(t, "GET", "/v1/quarantine", nil)
		if !strings.Contains(string(a.body), tn.id) || !strings.Contains(string(a.body), "schema_violation") {
			return fmt.Errorf("it has %s", a.body)
		}
		return nil
	})
}

// What one process changes, another knows within a second.
func TestEventTypes_InAnotherProcess(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	one, two := g.own(t, "serve"), g.own(t, "serve")
	tn := newTenant(t, one, "rheo", nil)
	there := tn.through(two)
	event := `{"type":"parcel.moved","data":1}`
	there.call(t, "POST", tn.path+"/events", event).isProblem(t, 422, "unknown_event_type")
	tn.call(t, "PUT", tn.path+"/event-types/parcel.moved", fields{"description": "d"}).is(t, 201, nil)
	changed := time.Now()
	tn.call(t, "POST", tn.path+"/events", event).is(t, 202, nil)
	await(t, patience, "the other process to know", func() error {
		if a := there.call(t, "POST", tn.path+"/events", event); a.status != 202 {
			return fmt.Errorf("it says %s, %s after the change", a.body, time.Since(changed))
		}
		return nil
	})
}
