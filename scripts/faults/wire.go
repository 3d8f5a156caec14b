package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// wire is a way to an address that can be cut. While it is cut it passes nothing on in either direction and closes nothing: both ends
// believe in their connection, and a new one is accepted and never answered, as where a network loses every packet. What was
// sent meanwhile arrives once it is mended, as what TCP sends again does.
type wire struct {
	to     string
	listen net.Listener
	// mended is held by whoever cuts the wire.
	mended sync.RWMutex
	passed atomic.Int64
	ends   sync.Map // of every connection, to close it
	wg     sync.WaitGroup
}

// newWire is a wire on the loopback address.
func newWire(ctx context.Context, to string) (*wire, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lay a wire to %s: %w", to, err)
	}
	w := &wire{to: to, listen: l}
	w.wg.Go(w.serve)
	return w, nil
}

func (w *wire) serve() {
	for {
		near, err := w.listen.Accept()
		if err != nil {
			return // it is closed
		}
		w.wg.Go(func() { w.connect(near) })
	}
}

// connect joins a connection to one of its own, and ends both when one end does.
func (w *wire) connect(near net.Conn) {
	w.ends.Store(near, nil)
	w.wait()
	far, err := (&net.Dialer{}).Dial("tcp", w.to)
	if err != nil {
		_ = near.Close() // as a refused connection
		return
	}
	w.ends.Store(far, nil)
	w.wg.Go(func() { w.pass(near, far) })
	w.pass(far, near)
}

// pass copies from one end to the other until one is closed.
func (w *wire) pass(from, to net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		w.wait()
		if n > 0 {
			w.passed.Add(int64(n))
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = errors.Join(from.Close(), to.Close()) // one of them is closed already
	w.ends.Delete(from)
	w.ends.Delete(to)
}

// wait returns once the wire is whole.
func (w *wire) wait() {
	w.mended.RLock()
	defer w.mended.RUnlock()
}

func (w *wire) close() error {
	err := w.listen.Close()
	w.ends.Range(func(end, _ any) bool {
		_ = end.(net.Conn).Close()
		return true
	})
	w.wg.Wait()
	return err
}

// wires lead to several addresses and are cut together.
type wires []*wire

func newWires(ctx context.Context, addresses []string) (wires, error) {
	var all wires
	for _, address := range addresses {
		w, err := newWire(ctx, address)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, w)
	}
	return all, nil
}

// addresses are the near ends, as WAYBILL_TEMPORAL_ADDRESS takes them.
func (ws wires) addresses() string {
	var all []string
	for _, w := range ws {
		all = append(all, w.listen.Addr().String())
	}
	return strings.Join(all, ",")
}

func (ws wires) cut() {
	for _, w := range ws {
		w.mended.Lock()
	}
}

func (ws wires) mend() {
	for _, w := range ws {
		w.mended.Unlock()
	}
}

// passed counts the bytes that went through.
func (ws wires) passed() int64 {
	var sum int64
	for _, w := range ws {
		sum += w.passed.Load()
	}
	return sum
}

func (ws wires) close() error {
	var errs []error
	for _, w := range ws {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}
