package main

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

// receiver answers webhooks. It speaks just enough HTTP/1.1 to serve Go's own client: what it takes for itself is taken
// from what is measured on the same machine.
type receiver struct {
	serving sync.WaitGroup

	mu        sync.Mutex
	sinks     []*sink
	listeners []net.Listener
	open      map[net.Conn]struct{}
	closed    bool
	// fault is the first request that made no sense.
	fault error
}

func newReceiver() *receiver { return &receiver{open: map[net.Conn]struct{}{}} }

// add returns a new sink. It has a port of its own on the loopback address, as endpoints have hosts of their own: a
// sender does not share connections among them.
func (r *receiver) add(ctx context.Context, b behavior) (*sink, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a receiver: %w", err)
	}
	s := newSink("http://"+l.Addr().String()+"/hook", b)
	r.mu.Lock()
	r.sinks, r.listeners = append(r.sinks, s), append(r.listeners, l)
	r.mu.Unlock()
	r.serving.Go(func() { r.acceptConns(l, s) })
	return s, nil
}

// releaseHung has every sink that hangs answer at once.
func (r *receiver) releaseHung() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sinks {
		s.releaseHung()
	}
}

// close ends every connection, and returns the first request that made no sense.
func (r *receiver) close() error {
	r.releaseHung()
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

func (r *receiver) acceptConns(l net.Listener, s *sink) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		r.serving.Go(func() { r.serve(conn, s) })
	}
}

func (r *receiver) serve(conn net.Conn, s *sink) {
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
			err = answer(conn, s.arrive(id, at))
		}
		if err != nil {
			r.note(err)
			return
		}
	}
}

func (r *receiver) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.open[conn] = struct{}{}
	}
	return !r.closed
}

func (r *receiver) forget(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, conn)
}

// errMalformed marks what is no webhook. Connections that end are no fault: senders are killed and restarted.
var errMalformed = errors.New("the receiver got a request that is no webhook")

func (r *receiver) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil && errors.Is(err, errMalformed) {
		r.fault = err
	}
}

func answer(conn net.Conn, status int) error {
	if status == http.StatusOK {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		return err
	}
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status))
	return err
}

// readRequest reads one request, drops its body, and returns the event that its header webhook-id names.
func readRequest(in *bufio.Reader) (eventID, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return eventID{}, err
	}
	if !bytes.HasPrefix(line, []byte("POST ")) {
		return eventID{}, fmt.Errorf("%w: %q", errMalformed, line)
	}
	id, length := "", -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return eventID{}, err
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
				return eventID{}, fmt.Errorf("%w: content-length: %w", errMalformed, err)
			}
		}
	}
	if length < 0 {
		return eventID{}, fmt.Errorf("%w: no content-length", errMalformed)
	}
	event, err := parseEventID(id)
	if err != nil {
		return eventID{}, fmt.Errorf("%w: webhook-id: %w", errMalformed, err)
	}
	_, err = in.Discard(length)
	return event, err
}
