package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/scripts/collector"
	"waybill/scripts/stack"
)

// otlpCollector is the OpenTelemetry collector's own receiver, in a process of its own.
type otlpCollector struct {
	address string
	process *exec.Cmd

	mu  sync.Mutex
	got bytes.Buffer
}

// Write keeps what the collector prints.
func (c *otlpCollector) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.Write(p)
}

func (c *otlpCollector) printed() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.String()
}

func startCollector(t *testing.T) *otlpCollector {
	t.Helper()
	root, err := stack.FindRoot()
	require.NoError(t, err)
	program, err := collector.Install(t.Context(), root)
	require.NoError(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &otlpCollector{address: free.Addr().String()}
	require.NoError(t, free.Close())
	c.process = exec.Command(program, c.address)
	c.process.Stdout, c.process.SysProcAttr = c, dieWithTests()
	require.NoError(t, c.process.Start())
	t.Cleanup(func() { c.kill() })
	await(t, patience, "the collector to listen", func() error {
		conn, err := net.Dial("tcp", c.address)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	return c
}

func (c *otlpCollector) kill() {
	_ = c.process.Process.Kill()
	_ = c.process.Wait()
}

// span is a span as the collector got it.
type span struct {
	TraceID, SpanID, ParentSpanID, Name string
	Links                               []struct{ TraceID, SpanID string }
	Attributes                          []struct {
		Key   string
		Value map[string]any
	}
}

func (s span) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			for _, value := range a.Value {
				return fmt.Sprint(value)
			}
		}
	}
	return ""
}

// trace returns the spans of a trace, by name in the order of their arrival.
func (c *otlpCollector) trace(t *testing.T, id string) map[string][]span {
	t.Helper()
	found := map[string][]span{}
	for line := range strings.Lines(c.printed()) {
		if !strings.HasSuffix(line, "\n") {
			break // the rest of it is still to come
		}
		var batch struct {
			ResourceSpans []struct {
				ScopeSpans []struct{ Spans []span }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(line), &batch))
		for _, r := range batch.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					if s.TraceID == id {
						found[s.Name] = append(found[s.Name], s)
					}
				}
			}
		}
	}
	return found
}

// waitTrace waits until a trace has as many spans of each name.
func (c *otlpCollector) waitTrace(t *testing.T, id string, want map[string]int) map[string][]span {
	t.Helper()
	var found map[string][]span
	await(t, patience, "the spans of a trace", func() error {
		found = c.trace(t, id)
		for name, n := range want {
			if len(found[name]) != n {
				return fmt.Errorf("%d of %s, not %d; all: %v", len(found[name]), name, n, found)
			}
		}
		return nil
	})
	return found
}

const (
	acceptSpan   = "POST /v1/tenants/{tenant}/events"
	producerSpan = "00f067aa0ba902b7"
)

func traceID(n int) string { return fmt.Sprintf("4bf92f3577b34da6a3ce929d0e0e47%02x", n) }

func sampled(n int) string { return "00-" + traceID(n) + "-" + producerSpan + "-01" }

// One trace goes from the producer's call to the receiver's answer, whichever way the event takes, and the collector's own receiver
// understands it. It says nothing of what is secret.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_TRACES_ENDPOINT=http://"+c.address, "WAYBILL_TRACES_RATIO=0", "WAYBILL_TRACES_ATTRIBUTES=deployment.environment.name:e2e")
	const body = `{"type":"order.confirmed","data":"canary-payload"}`
	below := func(t *testing.T, r *receiver, n int, attempts []span, parent string) {
		t.Helper()
		for i, got := range r.wait(t, len(attempts)) {
			require.Equal(t, "00-"+traceID(n)+"-"+attempts[i].SpanID+"-01", got.header.Get("traceparent"))
			require.Equal(t, parent, attempts[i].ParentSpanID)
			require.Equal(t, fmt.Sprint(i+1), attempts[i].attribute("waybill.attempt.number"))
			require.Equal(t, "127.0.0.1", attempts[i].attribute("server.address"))
		}
	}

	t.Run("a workflow, and a redelivery", func(t *testing.T) {
		t.Parallel()
		tn := newTenant(t, s, "standard", fields{"retry": fields{"schedule": []string{"1s"}}})
		r := newReceiver(t, fails(1)...)
		tn.endpoint(t, r, nil)
		var sent receipt
		tn.call(t, "POST", tn.path+"/events", body, "traceparent", sampled(1)).is(t, 202, &sent)
		tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 2)
		spans := c.waitTrace(t, traceID(1), map[string]int{acceptSpan: 1, "dispatch": 1, "attempt": 2, "record": 2, "workflow": 1})
		accept, dispatch := spans[acceptSpan][0], spans["dispatch"][0]
		require.Equal(t, producerSpan, accept.ParentSpanID)
		require.Equal(t, sent.ID, accept.attribute("waybill.event.id"))
		require.Equal(t, accept.SpanID, dispatch.ParentSpanID)
		require.Equal(t, dispatch.SpanID, spans["workflow"][0].ParentSpanID)
		below(t, r, 1, spans["attempt"], dispatch.SpanID)
		require.Equal(t, "500", spans["attempt"][0].attribute("http.response.status_code"))
		require.Equal(t, "http_status", spans["attempt"][0].attribute("error.type"))
		require.Equal(t, "200", spans["attempt"][1].attribute("http.response.status_code"))
		require.Equal(t, spans["attempt"][0].SpanID, spans["record"][0].ParentSpanID)

		tn.call(t, "POST", tn.path+"/deliveries/"+sent.Deliveries[0].ID+"/retry", nil).is(t, 202, nil)
		last := r.wait(t, 3)[2].header.Get("traceparent")
		third := c.waitTrace(t, traceID(1), map[string]int{"attempt": 3})["attempt"][2]
		require.Equal(t, "00-"+traceID(1)+"-"+third.SpanID+"-01", last, "the queue's attempt is in the event's trace")
		require.Equal(t, accept.SpanID, third.ParentSpanID)
	})
	t.Run("express", func(t *testing.T) {
		t.Parallel()
		tn := newTenant(t, s, "standard", fields{"express": true})
		r := newReceiver(t)
		tn.endpoint(t, r, nil)
		tn.call(t, "POST", tn.path+"/events/batch", `{"events":[`+body+`]}`, "traceparent", sampled(2)).is(t, 200, nil)
		spans := c.waitTrace(t, traceID(2), map[string]int{acceptSpan + "/batch": 1, "dispatch": 1, "attempt": 1, "record": 1})
		require.Equal(t, "true", spans["dispatch"][0].attribute("waybill.express"))
		below(t, r, 2, spans["attempt"], spans["dispatch"][0].SpanID)
	})
	t.Run("SQL", func(t *testing.T) {
		t.Parallel()
		tn := newTenant(t, s, "standard", nil)
		r := newReceiver(t)
		tn.endpoint(t, r, nil)
		tx := g.begin(t)
		_, err := tx.ExecContext(t.Context(), `SELECT set_config('waybill.traceparent', $1, true)`, sampled(3))
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), `SELECT `+g.publishCall(`$1, 'order.confirmed', '"canary-payload"'`), tn.id)
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		spans := c.waitTrace(t, traceID(3), map[string]int{"accept": 1, "ingest": 1, "dispatch": 1, "attempt": 1, "workflow": 1})
		require.Equal(t, producerSpan, spans["accept"][0].ParentSpanID)
		require.Equal(t, spans["accept"][0].SpanID, spans["dispatch"][0].ParentSpanID)
		below(t, r, 3, spans["attempt"], spans["dispatch"][0].SpanID)
	})
	t.Run("what nobody wants traced", func(t *testing.T) {
		t.Parallel()
		tn := newTenant(t, s, "standard", nil)
		r := newReceiver(t)
		tn.endpoint(t, r, nil)
		tn.call(t, "POST", tn.path+"/events", body, "traceparent", strings.TrimSuffix(sampled(4), "1")+"0").is(t, 202, nil)
		got := r.wait(t, 1)[0].header.Get("traceparent")
		require.Regexp(t, "^00-"+traceID(4)+"-[0-9a-f]{16}-00$", got)
		tn.call(t, "POST", tn.path+"/events", body).is(t, 202, nil)
		require.Empty(t, r.wait(t, 2)[1].header.Values("traceparent"))
		require.Zero(t, g.count(t, "events", tn.id)-2)
	})
	t.Cleanup(func() {
		require.Empty(t, c.trace(t, traceID(4)))
		require.Contains(t, c.printed(), `"e2e"`)
		for _, secret := range []string{"canary-payload", "/hook", "whsec_", g.apiKey, "webhook-signature"} {
			require.NotContains(t, c.printed(), secret)
		}
	})
}

// A collector that is gone delays neither a delivery nor the end of the process.
func TestTraces_CollectorDown(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	s := ownGroup(t, groupOptions{}).own(t, "serve", "WAYBILL_TRACES_ENDPOINT=http://"+c.address, "WAYBILL_TRACES_RATIO=1")
	c.kill()
	tn := newTenant(t, s, "standard", nil)
	r := newReceiver(t)
	tn.endpoint(t, r, nil)
	sent := tn.publish(t, confirmed, 1)
	require.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", r.wait(t, 1)[0].header.Get("traceparent"))
	tn.waitDelivery(t, sent.Deliveries[0].ID, "delivered", 1)
	s.stop(t)
	require.Contains(t, s.read(), "traces")
}
