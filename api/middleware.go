package api

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"
)

// requestInfo is shared by the middleware and the handler of one request.
type requestInfo struct {
	id string
	// route is the path template that matched.
	route string
	// inflight is the request's share of the bytes in flight.
	inflight share
	// limited says how many requests the caller's key has left; nil: the caller is not limited.
	limited *keyUse
}

type infoKey struct{}

// infoOf returns the request's info, which observe has stored.
func infoOf(r *http.Request) *requestInfo {
	info, ok := r.Context().Value(infoKey{}).(*requestInfo)
	if !ok {
		panic("api: the request did not come through Server.ServeHTTP")
	}
	return info
}

// unmatched is the route of requests that no route serves.
const unmatched = "unmatched"

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// requestID returns the caller's X-Request-Id if it is safe in a log, otherwise a new one.
func (s *Server) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); requestIDPattern.MatchString(id) {
		return id
	}
	id := s.opts.NewUUID()
	return "req_" + hex.EncodeToString(id[:])
}

// observe gives the request its id, measures and logs it, and turns a panic into a 500.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		info := &requestInfo{id: s.requestID(r), route: unmatched, inflight: share{of: s.inflight}}
		defer info.inflight.release()
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, info))
		out := &statusWriter{ResponseWriter: w}
		out.Header().Set("X-Request-Id", info.id)
		out.Header().Set("X-Content-Type-Options", "nosniff")
		out.Header().Set("Cache-Control", "no-store")
		defer func() {
			took := time.Since(start)
			s.metrics.request(r.Method, info.route, out.status, took)
			s.log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request_id", info.id),
				slog.String("method", r.Method), slog.String("route", info.route),
				slog.Int("status", out.status), slog.Duration("took", took))
		}()
		err := safely(func() error {
			next.ServeHTTP(out, r)
			return nil
		})
		if err != nil {
			s.answerPanic(out, r, err)
		}
	})
}

// safely turns a panic of f into an error with the stack, except for the one that asks net/http to cut the connection.
func safely(f func() error) (err error) {
	defer func() {
		reason := recover()
		if reason == http.ErrAbortHandler { //nolint:errorlint // compares the value itself, as net/http does
			panic(reason)
		}
		if reason != nil {
			err = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	return f()
}

// answerPanic answers 500 unless the answer has begun. Then it cuts the connection, so that the caller does not take half
// an answer for a whole one.
func (s *Server) answerPanic(w *statusWriter, r *http.Request, err error) {
	if w.status != 0 {
		s.logError(r, asError(r.Context(), err).Code, err)
		panic(http.ErrAbortHandler)
	}
	s.Error(w, r, err)
}

// statusWriter remembers the status that was written; 0: none yet.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader records the status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write records the implied 200.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
