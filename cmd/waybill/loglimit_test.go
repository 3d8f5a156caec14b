package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	sdklog "go.temporal.io/sdk/log"

	"waybill/webhook"
)

// limited returns a logger whose lines can be read.
func limited(level slog.Level) (*slog.Logger, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return slog.New(newLogLimit(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))), out
}

// Ten thousand deliveries that fail at once are a hundred lines, and the next one says how many it stands for.
func TestLogLimit_Storm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, out := limited(slog.LevelInfo)
		for n := range 10_000 {
			l.With("tenant", "acme").Warn("a delivery is exhausted", "attempt", n)
		}
		l.Info("another message passes")
		require.Equal(t, linesAtOnce, strings.Count(out.String(), "a delivery is exhausted"))
		require.Contains(t, out.String(), "another message passes")
		require.NotContains(t, out.String(), "left_out")
		out.Reset()
		time.Sleep(time.Minute) // of the test's own clock
		for range 1000 {
			l.Warn("a delivery is exhausted")
		}
		require.Equal(t, linesPerMinute, strings.Count(out.String(), "a delivery is exhausted"))
		require.Equal(t, 1, strings.Count(out.String(), "left_out=9900"), out)
	})
}

// A storm that ends is told of although no further line of it comes, once, and so is one that goes on when the process ends.
func TestLogLimit_StormEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, out := limited(slog.LevelInfo)
		storm := func(lines int) {
			for range lines {
				l.Warn("a delivery is exhausted")
			}
		}
		storm(linesAtOnce + 7)
		time.Sleep(tellLeftOut) // of the test's own clock
		synctest.Wait()
		require.Contains(t, out.String(), `level=WARN msg="lines of a message were left out" what="a delivery is exhausted" left_out=7`)
		time.Sleep(time.Hour)
		require.Equal(t, 1, strings.Count(out.String(), leftOutLine))
		storm(linesAtOnce + 2)
		tellLeftOutNow(l)
		tellLeftOutNow(l)
		time.Sleep(time.Hour)
		require.Equal(t, 2, strings.Count(out.String(), leftOutLine))
		require.Contains(t, out.String(), "left_out=2")
	})
}

// An outage is a few lines, whatever the parts are that tell of it. What is no outage passes, and so does the audit log.
func TestLogLimit_Outage(t *testing.T) {
	t.Parallel()
	l, out := limited(slog.LevelInfo)
	down := fmt.Errorf("read: %w", webhook.Errorf(webhook.CodeUnavailable, "the database is not available"))
	for n := range 20 {
		l.Warn(fmt.Sprintf("part %d cannot work; still trying", n), "error", down)
		l.With("error", down).Warn(fmt.Sprintf("and part %d neither", n))
		newSDKLogger(l).Warn("Failed to poll for task.", "Error", serviceerror.NewUnavailable("connection refused"))
	}
	require.Equal(t, outageAtOnce, strings.Count(out.String(), "level=WARN"), out)
	out.Reset()
	l.Error("something else", "error", errors.New("a fault"))
	for range 300 {
		l.Info(auditLine, "action", "endpoint.created")
	}
	require.Equal(t, 301, strings.Count(out.String(), "\n"))
}

func TestLogLimit_Debug(t *testing.T) {
	t.Parallel()
	l, out := limited(slog.LevelDebug)
	for range 300 {
		l.Debug("an attempt failed")
	}
	require.Equal(t, 300, strings.Count(out.String(), "\n"), "who asks for debug gets all")
}

// What messages a library makes up does not fill the memory.
func TestLogLimit_ManyMessages(t *testing.T) {
	t.Parallel()
	limit := newLogLimit(slog.DiscardHandler)
	for n := range 3 * maxMessages {
		limit.counts.take(fmt.Sprint(n, strings.Repeat(" and so on", 1000)), false, time.Now())
	}
	require.LessOrEqual(t, len(limit.counts.of), maxMessages)
	for message := range limit.counts.of {
		require.LessOrEqual(t, len(message), maxMessageBytes+len("..."))
	}
}

// The SDK's lines have our form and our names; its chatter is for debug.
func TestSDKLogger(t *testing.T) {
	t.Parallel()
	l, out := limited(slog.LevelInfo)
	sdk := newSDKLogger(l)
	sdk.Info("Started Worker", "Namespace", "n")
	sdk.Debug("ExecuteActivity", "ActivityID", "1")
	require.Empty(t, out.String())
	sdk.(sdklog.WithLogger).With("WorkflowID", "acme/e1").Warn("a signal cannot be read", "Error", errors.New("odd"), "EventID", 7)
	require.Contains(t, out.String(), `level=WARN msg="a signal cannot be read" workflow_id=acme/e1 error=odd history_event=7`)
}

// A line of package log, and one of a server, is a line of ours.
func TestErrorLog(t *testing.T) {
	t.Parallel()
	out := &bytes.Buffer{}
	l := slog.New(newLogLimit(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	server := errorLog(l)
	server.Printf("http: TLS handshake error from %s: %q", "192.0.2.1:1", "\n")
	server.Printf("http: panic serving %s", "192.0.2.1:1")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	for i, level := range []string{"DEBUG", "ERROR"} {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &line))
		require.Equal(t, level, line["level"])
		require.Equal(t, "a connection failed", line["msg"])
		require.Contains(t, line["error"], "192.0.2.1")
	}
}
