package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// address leads connections to a server that is elsewhere.
type address struct {
	listener net.Listener
	to       string
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// moveAddress listens at an address and leads what comes to another.
func moveAddress(from, to string) (*address, error) {
	l, err := net.Listen("tcp", from)
	if err != nil {
		return nil, fmt.Errorf("move an address: %w", err)
	}
	a := &address{listener: l, to: to, conns: map[net.Conn]bool{}}
	a.serving.Go(a.serve)
	return a, nil
}

func (a *address) serve() {
	for {
		in, err := a.listener.Accept()
		if err != nil {
			return // it was closed
		}
		a.serving.Go(func() { a.lead(in) })
	}
}

// lead hands on what each side sends, until one of them ends.
func (a *address) lead(in net.Conn) {
	out, err := new(net.Dialer).DialContext(context.Background(), "tcp", a.to)
	if err != nil {
		_ = in.Close()
		return
	}
	if !a.keep(in, out) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // the other side learns of it by the end of its connection
			a.drop(in, out)
		})
	}
	both.Wait()
}

// keep notes connections that close must end. It reports false, and ends them, once the address is closed.
func (a *address) keep(conns ...net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range conns {
		if a.conns == nil {
			_ = c.Close()
			continue
		}
		a.conns[c] = true
	}
	return a.conns != nil
}

func (a *address) drop(conns ...net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(a.conns, c)
	}
}

func (a *address) close() error {
	err := a.listener.Close()
	a.mu.Lock()
	for c := range a.conns {
		err = errors.Join(err, c.Close())
	}
	a.conns = nil
	a.mu.Unlock()
	a.serving.Wait()
	return err
}
