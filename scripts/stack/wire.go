package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Wire leads connections to an address. It can be cut: then it passes nothing on in either direction and closes nothing. Both ends
// believe in their connection, and a new one is accepted and never answered, as where a network loses every packet. What was sent
// meanwhile arrives once it is mended, as what TCP sends again does.
type Wire struct {
	listener net.Listener
	to       string
	serving  sync.WaitGroup
	// mended is held by whoever cuts the wire.
	mended sync.RWMutex
	passed atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once it is closed
}

// NewWire leads what comes to an address, such as 127.0.0.1:0, to another.
func NewWire(ctx context.Context, from, to string) (*Wire, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", from)
	if err != nil {
		return nil, fmt.Errorf("lay a wire to %s: %w", to, err)
	}
	w := &Wire{listener: l, to: to, conns: map[net.Conn]bool{}}
	w.serving.Go(w.serve)
	return w, nil
}

// Addr is where the wire is entered.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Cut cuts the wire until Mend.
func (w *Wire) Cut() { w.mended.Lock() }

// Mend mends what Cut has cut.
func (w *Wire) Mend() { w.mended.Unlock() }

// Passed counts the bytes that went through.
func (w *Wire) Passed() int64 { return w.passed.Load() }

func (w *Wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return // it is closed
		}
		w.serving.Go(func() { w.connect(near) })
	}
}

// connect joins a connection to one of its own, and ends both when one end does.
func (w *Wire) connect(near net.Conn) {
	if !w.keep(near) {
		return
	}
	w.wait(0)
	far, err := new(net.Dialer).DialContext(context.Background(), "tcp", w.to)
	if err != nil {
		w.drop(near) // as a refused connection
		return
	}
	if !w.keep(far) {
		return
	}
	w.serving.Go(func() { w.pass(near, far) })
	w.pass(far, near)
}

// pass copies from one end to the other until one is closed.
func (w *Wire) pass(from, to net.Conn) {
	defer w.drop(from, to)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		w.wait(n)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait returns once the wire is whole, and notes what goes through then.
func (w *Wire) wait(bytes int) {
	w.mended.RLock()
	defer w.mended.RUnlock()
	w.passed.Add(int64(bytes))
}

// keep notes a connection that Close must end. It reports false, and ends it, once the wire is closed.
func (w *Wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == nil {
		_ = c.Close()
		return false
	}
	w.conns[c] = true
	return true
}

func (w *Wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // the other way may have closed it
		delete(w.conns, c)
	}
}

// Close ends every connection. The wire must be whole.
func (w *Wire) Close() error {
	err := w.listener.Close()
	w.mu.Lock()
	for c := range w.conns {
		err = errors.Join(err, c.Close())
	}
	w.conns = nil
	w.mu.Unlock()
	w.serving.Wait()
	return err
}
