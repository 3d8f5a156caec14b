package main_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that is killed after it made an endpoint, and before it could say so, leaves nothing to clean up: the same request with
// its key gets the answer, with the secret, and makes no second one.
func TestKill_AfterCreate(t *testing.T) {
	t.Parallel()
	s := ownGroup(t, groupOptions{}).own(t, "serve", "WAYBILL_FAILPOINTS=after-create=kill:2")
	tn := newTenant(t, s, "standard", nil)
	body := fields{
		"url": "https://receiver.example/hook", "event_types": []string{"*"}, "filter": fields{"a": []string{"b"}}, "timeout": "1.0005s",
		"headers": fields{"X-A": "1"}, "retry": fields{"exponential": fields{"first": "1s", "factor": 1.5, "retries": 3}}, "metadata": fields{"é": "1"},
		"auto_disable": fields{"failures": 3, "span": "90s"}, "disabled": true,
	}
	_, err := tn.try("POST", tn.path+"/endpoints", body, "Idempotency-Key", "the one")
	require.Error(t, err, "it died")
	<-s.exited
	s.restart(t)

	a := tn.call(t, "POST", tn.path+"/endpoints", body, "Idempotency-Key", "the one")
	var made endpoint
	a.is(t, 201, &made)
	require.Equal(t, "true", a.header.Get("Idempotent-Replayed"))
	require.Regexp(t, `^whsec_`, made.Secret)
	var shown struct{ Secret string }
	tn.call(t, "GET", tn.path+"/endpoints/"+made.ID+"/secret", nil).is(t, 200, &shown)
	require.Equal(t, shown.Secret, made.Secret)
	require.Equal(t, a.header.Get("ETag"), tn.call(t, "GET", tn.path+"/endpoints/"+made.ID, nil).header.Get("ETag"), "as stored")
	var list struct{ Data []json.RawMessage }
	tn.call(t, "GET", tn.path+"/endpoints", nil).is(t, 200, &list)
	require.Len(t, list.Data, 1)
}
