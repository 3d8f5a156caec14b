package main

import (
	"context"
	"io"
	stdlog "log"
	"log/slog"
	"strings"

	"go.temporal.io/sdk/log"
)

// newLogger returns the logger of a process. What libraries write with package log goes there too, so that every line has one form.
func newLogger(out io.Writer, s *settings) *slog.Logger {
	l := slog.New(newLogLimit(newLogForm(out, s)))
	slog.SetDefault(l)
	return l
}

// newLogForm returns what writes lines in the form that the settings name.
func newLogForm(out io.Writer, s *settings) slog.Handler {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.LogFormat == "json" {
		options.ReplaceAttr = durationsWithUnits
		return slog.NewJSONHandler(out, options)
	}
	return slog.NewTextHandler(out, options)
}

// durationsWithUnits writes durations as the text form does, "1.5s". JSON's own form is a number of nanoseconds, which nothing says.
func durationsWithUnits(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// errorLog is where a server of package net/http writes what goes wrong with a connection, which its other side may cause.
func errorLog(l *slog.Logger) *stdlog.Logger {
	return slog.NewLogLogger(connectionLog{l.Handler()}, slog.LevelDebug)
}

// connectionLog gives the lines of a server one message and the text as the error, so that they are limited together.
type connectionLog struct{ slog.Handler }

// Handle implements slog.Handler.
func (c connectionLog) Handle(ctx context.Context, r slog.Record) error {
	level, text := slog.LevelDebug, r.Message
	if strings.Contains(text, "panic") || strings.Contains(text, "Accept error") {
		level = slog.LevelError
	}
	if !c.Enabled(ctx, level) {
		return nil
	}
	line := slog.NewRecord(r.Time, level, "a connection failed", r.PC)
	line.AddAttrs(slog.String("error", text))
	return c.Handler.Handle(ctx, line)
}

// sdkLogger gives the lines of Temporal's SDK our form: its "info" is chatter about workers that start and stop, and its "debug" about each
// task, which nobody needs who does not work on the SDK.
type sdkLogger struct{ to *slog.Logger }

func newSDKLogger(to *slog.Logger) log.Logger { return sdkLogger{to} }

// Debug implements log.Logger.
func (l sdkLogger) Debug(string, ...any) {}

// Info implements log.Logger.
func (l sdkLogger) Info(says string, pairs ...any) { l.write(slog.LevelDebug, says, pairs) }

// Warn implements log.Logger.
func (l sdkLogger) Warn(says string, pairs ...any) { l.write(slog.LevelWarn, says, pairs) }

// Error implements log.Logger.
func (l sdkLogger) Error(says string, pairs ...any) { l.write(slog.LevelError, says, pairs) }

// With implements log.WithLogger.
func (l sdkLogger) With(pairs ...any) log.Logger { return sdkLogger{l.to.With(ourNames(pairs)...)} }

func (l sdkLogger) write(level slog.Level, says string, pairs []any) {
	ctx := context.Background()
	if l.to.Enabled(ctx, level) {
		l.to.Log(ctx, level, says, ourNames(pairs)...)
	}
}

// sdkNames are the SDK's names of fields, with ours. An EventID of the SDK is a position in a history.
var sdkNames = map[string]string{
	"Namespace": "namespace", "TaskQueue": "task_queue", "WorkerID": "worker", "WorkerType": "worker_type", "WorkflowID": "workflow_id",
	"RunID": "run_id", "WorkflowType": "workflow_type", "ActivityID": "activity_id", "ActivityType": "activity_type", "Attempt": "task_attempt",
	"Error": "error", "EventID": "history_event", "EventType": "history_event_type", "StackTrace": "stack", "PanicError": "error", "PanicStack": "stack",
}

// ourNames gives fields our names.
func ourNames(pairs []any) []any {
	out := make([]any, len(pairs))
	for i, v := range pairs {
		out[i] = v
		if name, ok := v.(string); ok && i%2 == 0 && sdkNames[name] != "" {
			out[i] = sdkNames[name]
		}
	}
	return out
}
