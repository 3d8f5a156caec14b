package receiver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Lean is a receiver for measurements: what it takes for itself is taken from what is measured on the same machine. It
// speaks just enough HTTP/1.1 to serve Go's own client, tells nothing of a request but its id, and answers nothing but a
// status.
type Lean struct {
	serving sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	open      map[net.Conn]struct{}
	closed    bool
	// fault is the first request that made no sense.
	fault error
}

// NewLean returns a receiver without endpoints.
func NewLean() *Lean { return &Lean{open: map[net.Conn]struct{}{}} }

// LeanAnswer is called with the header webhook-id of every request that is whole, and returns the status of its answer once
// it is due. An error says that the request makes no sense: its connection is closed, and Close returns the first.
type LeanAnswer func(webhookID string, at time.Time) (status int, err error)

// Listen adds an endpoint and returns its URL. It has a port of its own on the loopback address, as endpoints have hosts
// of their own: a sender does not share connections among them.
func (r *Lean) Listen(ctx context.Context, answer LeanAnswer) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("start a receiver: %w", err)
	}
	r.mu.Lock()
	r.listeners = append(r.listeners, l)
	r.mu.Unlock()
	r.serving.Go(func() { r.acceptConns(l, answer) })
	return "http://" + l.Addr().String() + "/hook", nil
}

// Close ends every connection, and returns the first request that made no sense. Answers that are not due yet are waited
// for.
func (r *Lean) Close() error {
	r.mu.Lock()
	r.closed = true
	var errs []error
	for _, l := range r.listeners {
		errs = append(errs, l.Close())
	}
	for conn := range r.open {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.serving.Wait()
	return errors.Join(append(errs, r.fault)...)
}

func (r *Lean) acceptConns(l net.Listener, answer LeanAnswer) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		r.serving.Go(func() { r.serve(conn, answer) })
	}
}

func (r *Lean) serve(conn net.Conn, answer LeanAnswer) {
	defer func() { _ = conn.Close() }()
	if !r.keep(conn) {
		return
	}
	defer r.forget(conn)
	in := bufio.NewReaderSize(conn, 8<<10)
	for {
		id, err := readRequest(in)
		at := time.Now()
		if err == nil {
			err = reply(conn, answer, id, at)
		}
		if err != nil {
			r.note(err)
			return
		}
	}
}

func (r *Lean) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.open[conn] = struct{}{}
	}
	return !r.closed
}

func (r *Lean) forget(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, conn)
}

// ErrMalformed marks what is no webhook. Connections that end are no fault: senders are killed and restarted.
var ErrMalformed = errors.New("the receiver got a request that is no webhook")

func (r *Lean) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil && errors.Is(err, ErrMalformed) {
		r.fault = err
	}
}

func reply(conn net.Conn, answer LeanAnswer, id string, at time.Time) error {
	status, err := answer(id, at)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	case status == http.StatusOK:
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	default:
		_, err = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
	}
	return err
}

// readRequest reads one request, drops its body, and returns its header webhook-id.
func readRequest(in *bufio.Reader) (id string, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	if !bytes.HasPrefix(line, []byte("POST ")) {
		return "", fmt.Errorf("%w: %q", ErrMalformed, line)
	}
	length := -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return "", err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("webhook-id")):
			id = string(bytes.TrimSpace(value))
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return "", fmt.Errorf("%w: content-length: %w", ErrMalformed, err)
			}
		}
	}
	if length < 0 {
		return "", fmt.Errorf("%w: no content-length", ErrMalformed)
	}
	_, err = in.Discard(length)
	return id, err
}
