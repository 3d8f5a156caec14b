package main_test

import (
	"io"
	"net"
	"sync"
)

// proxy passes TCP connections on to a target until they are cut. While it is down, it resets every connection, which
// looks like a dead server; it keeps its port, so that nobody else takes it meanwhile.
type proxy struct {
	target   string
	listener net.Listener

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
	// flow is held while nothing is passed on.
	flow sync.RWMutex
}

func newProxy(target string) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{target: target, listener: listener, conns: map[net.Conn]struct{}{}}
	go p.accept()
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// cut resets all connections, and every new one until restore.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	for conn := range p.conns {
		reset(conn)
	}
}

func (p *proxy) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

// stall keeps all connections, takes new ones and passes nothing on until the returned function is called. It looks like
// a server that hangs, or a network that loses every packet.
func (p *proxy) stall() (resume func()) {
	p.flow.Lock()
	return p.flow.Unlock
}

func (p *proxy) close() error {
	p.cut()
	return p.listener.Close()
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		go p.serve(conn)
	}
}

func (p *proxy) serve(near net.Conn) {
	if !p.keep(near) {
		return
	}
	defer p.drop(near)
	far, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(far) {
		return
	}
	defer p.drop(far)
	done := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(flowing{to, &p.flow}, from)
		done <- struct{}{}
	}
	go pass(near, far)
	go pass(far, near)
	<-done
}

// flowing writes while flow is free.
type flowing struct {
	to   io.Writer
	flow *sync.RWMutex
}

func (f flowing) Write(b []byte) (int, error) {
	f.flow.RLock()
	defer f.flow.RUnlock()
	return f.to.Write(b)
}

// keep remembers a connection, or resets it while the proxy is down.
func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		reset(conn)
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
