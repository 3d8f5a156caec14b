package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lines returns the log, each line an object. One that is none fails the test.
func (s *server) lines(t *testing.T) (all []fields) {
	t.Helper()
	for line := range strings.Lines(s.read()) {
		var f fields
		require.NoError(t, json.Unmarshal([]byte(line), &f), "each line is an object: %s", line)
		require.Contains(t, f, "time")
		require.Contains(t, f, "level")
		all = append(all, f)
	}
	return all
}

// Who reads the log by machine finds an object in each line, also of what libraries write, and the ids of what failed.
func TestLog_JSON(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{postgresProxy: true})
	s := g.own(t, "serve", "WAYBILL_LOG_FORMAT=json", "WAYBILL_LOG_LEVEL=debug")
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t, reply{status: 500, body: "the-receivers-own-words"})
	e := tn.endpoint(t, r, fields{"url": r.url + "/hook?token=in-the-query", "retry": fields{"schedule": []string{"1s"}}})
	event := tn.publish(t, fields{"type": "order.confirmed", "data": fields{"note": "in-the-payload"}}, 1)
	tn.waitDelivery(t, event.Deliveries[0].ID, "exhausted", 2)

	of := func(says string) (found []fields) {
		for _, f := range s.lines(t) {
			if f["msg"] == says {
				found = append(found, f)
			}
		}
		return found
	}
	await(t, patience, "the line of the exhausted delivery", func() error {
		if n := len(of("a delivery is exhausted")); n != 1 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	failed, exhausted := of("an attempt failed"), of("a delivery is exhausted")
	require.Len(t, failed, 1, "the first attempt")
	for i, f := range []fields{failed[0], exhausted[0]} {
		require.Equal(t, []string{"DEBUG", "WARN"}[i], f["level"])
		require.Equal(t, []any{tn.id, event.ID, event.Deliveries[0].ID, e.ID, float64(i + 1), 500.0, "http_status"},
			[]any{f["tenant"], f["event_id"], f["delivery_id"], f["endpoint_id"], f["attempt"], f["status_code"], f["error_class"]})
	}
	require.Contains(t, failed[0], "next_attempt_at")

	// A caller that does not speak HTTP, an outage, and the end of the process are lines of the same form.
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.address)
	require.NoError(t, err)
	_, err = c.Write([]byte("\x16\x03\x01 not HTTP\r\n\r\n"))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	g.postgres.cut()
	waitPostgres(t, s, 503)
	g.postgres.restore()
	waitPostgres(t, s, 200)
	s.stop(t)
	all := s.lines(t)
	require.True(t, slices.ContainsFunc(all, func(f fields) bool { return f["msg"] == "stopping" }))
	warnings := 0
	for _, f := range all {
		if f["level"] == "WARN" && strings.Contains(fmt.Sprint(f["error"]), "unavailable") {
			warnings++
		}
	}
	require.LessOrEqual(t, warnings, 12, "an outage is a few lines, not one from each part")
	for _, secret := range []string{"in-the-query", "in-the-payload", "the-receivers-own-words", e.Secret, "/hook"} {
		require.NotContains(t, s.read(), secret)
	}
}
