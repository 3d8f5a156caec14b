package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"golang.org/x/time/rate"

	"waybill/webhook"
)

// How many lines of one message the log takes. Ten thousand deliveries that fail in a minute say no more than a hundred do; the metrics
// count them all.
const (
	linesAtOnce    = 100
	linesPerMinute = 100
	// When the database or Temporal does not answer, every part that needs it says so: a few such lines say it all.
	outageAtOnce    = 3
	outagePerMinute = 6
	// maxMessages bounds the messages that are told apart, and maxMessageBytes their length. They are fixed texts, but a library's may not be.
	maxMessages     = 1000
	maxMessageBytes = 200
	// tellLeftOut is how long lines of a message may be left out without a word, when no further line comes to tell of them. It is longer
	// than a line takes to pass while they come.
	tellLeftOut = 2 * time.Minute
	// leftOutLine is the message that tells of them then.
	leftOutLine = "lines of a message were left out"
)

// logLimit is a slog.Handler that leaves out lines of a message that comes too often. The next line of the message that is written
// has their number in left_out; where none comes, a line of its own has it. Lines at debug, of the audit log, and errors that are not of an
// outage below the limits always pass.
type logLimit struct {
	slog.Handler
	counts *lineCounts
	// outage says that the handler's own fields have an error of an outage.
	outage bool
}

func newLogLimit(to slog.Handler) *logLimit {
	return &logLimit{Handler: to, counts: &lineCounts{to: to, of: map[string]*lineCount{}}}
}

// Handle implements slog.Handler.
func (l *logLimit) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelInfo || r.Message == auditLine {
		return l.Handler.Handle(ctx, r)
	}
	outage := l.outage
	r.Attrs(func(a slog.Attr) bool {
		outage = outage || isOutage(a)
		return !outage
	})
	leftOut, pass := l.counts.take(r.Message, outage, r.Time)
	if !pass {
		return nil
	}
	if leftOut > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", leftOut))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *logLimit) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := *l
	out.Handler = l.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		out.outage = out.outage || isOutage(a)
	}
	return &out
}

// WithGroup implements slog.Handler.
func (l *logLimit) WithGroup(name string) slog.Handler {
	out := *l
	out.Handler = l.Handler.WithGroup(name)
	return &out
}

// auditLine is the message of an audit entry, each of which has its line.
const auditLine = "audit"

// isOutage reports whether a field is an error that says that the database or Temporal does not answer.
func isOutage(a slog.Attr) bool {
	err, ok := a.Value.Any().(error)
	var known *webhook.Error
	var unavailable *serviceerror.Unavailable // the SDK's own, of polls for tasks
	return ok && (errors.As(err, &known) && known.Code == webhook.CodeUnavailable || errors.As(err, &unavailable))
}

// lineCounts counts the lines of each message.
type lineCounts struct {
	to slog.Handler
	mu sync.Mutex
	of map[string]*lineCount
}

type lineCount struct {
	limit   *rate.Limiter
	leftOut int
	// tell tells of those that were left out; nil: there were none yet.
	tell *time.Timer
}

// outageLine stands for all lines of an outage.
const outageLine = "an outage"

// take reports whether a line passes, and how many of its message were left out before it.
func (c *lineCounts) take(message string, outage bool, at time.Time) (leftOut int, pass bool) {
	atOnce, perMinute := linesAtOnce, linesPerMinute
	message = webhook.Cut(message, maxMessageBytes)
	if outage {
		message, atOnce, perMinute = outageLine, outageAtOnce, outagePerMinute
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.of[message]
	if n == nil {
		if len(c.of) >= maxMessages {
			c.tellAll()
			clear(c.of)
		}
		n = &lineCount{limit: rate.NewLimiter(rate.Every(time.Minute/time.Duration(perMinute)), atOnce)}
		c.of[message] = n
	}
	if !n.limit.AllowN(at, 1) {
		if n.leftOut++; n.leftOut == 1 {
			n.tell = time.AfterFunc(tellLeftOut, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.tell(message, n)
			})
		}
		return 0, false
	}
	leftOut = n.forget()
	return leftOut, true
}

// forget returns how many lines were left out, once.
func (n *lineCount) forget() (leftOut int) {
	if n.tell != nil {
		n.tell.Stop()
	}
	leftOut, n.leftOut = n.leftOut, 0
	return leftOut
}

// tell writes how many lines of a message were left out, if there are any.
func (c *lineCounts) tell(message string, n *lineCount) {
	if leftOut := n.forget(); leftOut > 0 {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, leftOutLine, 0)
		r.AddAttrs(slog.String("what", message), slog.Int("left_out", leftOut))
		_ = c.to.Handle(context.Background(), r) // as package slog does with what it cannot write
	}
}

func (c *lineCounts) tellAll() {
	for _, message := range slices.Sorted(maps.Keys(c.of)) {
		c.tell(message, c.of[message])
	}
}

// tellLeftOutNow writes how many lines of each message were left out, where a process ends.
func tellLeftOutNow(l *slog.Logger) {
	if limit, ok := l.Handler().(*logLimit); ok {
		limit.counts.mu.Lock()
		defer limit.counts.mu.Unlock()
		limit.counts.tellAll()
	}
}
