package activities_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// zone is a real name server. Each name answers with its sets of addresses in turn, and keeps answering with the last.
type zone struct {
	mu    sync.Mutex
	sets  map[string][][]string
	asked map[string]int
}

// nameServer returns a resolver that asks a name server on this machine, which knows the given names only. "*"
// stands for all others.
func nameServer(t *testing.T, sets map[string][][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &zone{sets: sets, asked: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			size, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if out, err := n.answer(b[:size]); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (n *zone) answer(request []byte) ([]byte, error) {
	var q dnsmessage.Message
	if err := q.Unpack(request); err != nil {
		return nil, err
	}
	question := q.Questions[0]
	q.Response, q.RecursionAvailable, q.Additionals = true, true, nil
	addrs, known := n.take(strings.TrimSuffix(strings.ToLower(question.Name.String()), "."), question.Type)
	if !known {
		q.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		addr := netip.MustParseAddr(a)
		header := dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class}
		switch {
		case question.Type == dnsmessage.TypeA && addr.Is4():
			q.Answers = append(q.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}})
		case question.Type == dnsmessage.TypeAAAA && !addr.Is4():
			q.Answers = append(q.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return q.Pack()
}

// take returns the addresses of a name for one lookup; it counts those for IPv4, which each lookup makes once.
func (n *zone) take(name string, kind dnsmessage.Type) (addrs []string, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known = n.sets[name]; !known {
		name = "*"
	}
	sets, known := n.sets[name]
	if !known {
		return nil, false
	}
	turn := min(n.asked[name], len(sets)-1)
	if kind == dnsmessage.TypeA {
		n.asked[name]++
	}
	return sets[turn], true
}
