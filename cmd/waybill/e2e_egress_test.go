package main_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// egressProxy is a CONNECT proxy that asks for a password and writes down what it connects to.
type egressProxy struct {
	server *http.Server
	url    string

	mu        sync.Mutex
	password  string
	addresses []string
	refused   int
}

func startEgressProxy(t *testing.T, password string) *egressProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &egressProxy{password: password, url: "http://waybill:" + password + "@" + l.Addr().String()}
	p.server = &http.Server{Handler: p}
	go func() { _ = p.server.Serve(l) }()
	t.Cleanup(func() { _ = p.server.Close() })
	return p
}

func (p *egressProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	known := r.Header.Get("Proxy-Authorization") == "Basic "+base64.StdEncoding.EncodeToString([]byte("waybill:"+p.password))
	if known {
		p.addresses = append(p.addresses, r.Host)
	} else {
		p.refused++
	}
	p.mu.Unlock()
	if !known {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	to, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer to.Close()
	from, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		defer from.Close()
		_, _ = io.Copy(from, to)
	}()
	_, _ = io.Copy(to, from)
}

func (p *egressProxy) setPassword(password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.password = password
}

func (p *egressProxy) seen() (addresses []string, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses, p.refused
}

// Deliveries and tests go through the proxy, and while it refuses to work no attempt is used up. Its password is in no log.
func TestEgressProxy(t *testing.T) {
	t.Parallel()
	password := unique("password")
	p := startEgressProxy(t, password)
	g := ownGroup(t, groupOptions{})
	s := g.own(t, "serve", "WAYBILL_EGRESS_PROXY="+p.url, "WAYBILL_EGRESS_ADDRESSES=203.0.113.7,203.0.113.16/28")
	tn := newTenant(t, s, "standard", nil)
	var egress struct{ Addresses []string }
	tn.call(t, "GET", "/v1/egress", nil).is(t, 200, &egress)
	require.Equal(t, []string{"203.0.113.7", "203.0.113.16/28"}, egress.Addresses)

	first := newReceiver(t)
	tn.endpoint(t, first, nil)
	done := tn.publish(t, confirmed, 1)
	tn.waitDelivery(t, done.Deliveries[0].ID, "delivered", 1)
	addresses, _ := p.seen()
	require.Len(t, addresses, 1)

	p.setPassword("another")
	second := newReceiver(t) // a host to which no connection is open
	tn2 := newTenant(t, s, "standard", nil)
	tn2.endpoint(t, second, nil)
	waits := tn2.publish(t, confirmed, 1)
	await(t, patience, "the proxy to refuse a second try", func() error {
		if _, refused := p.seen(); refused < 2 {
			return fmt.Errorf("it has refused %d", refused)
		}
		return nil
	})
	d := tn2.delivery(t, waits.Deliveries[0].ID)
	require.Equal(t, "pending", d.Status)
	require.Zero(t, d.Attempts)
	require.Contains(t, s.read(), "the egress proxy refuses the credentials in WAYBILL_EGRESS_PROXY")

	p.setPassword(password)
	tn2.waitDelivery(t, waits.Deliveries[0].ID, "delivered", 1)
	second.wait(t, 1)
	require.NotContains(t, s.read(), password)
	require.NotContains(t, s.read(), base64.StdEncoding.EncodeToString([]byte("waybill:"+password)))
}

// The API refuses every URL of the table that the transport is tested with, whatever the way it is written.
func TestEndpoint_SSRF(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../activities/testdata/ssrf.txt")
	require.NoError(t, err)
	s := shared(t)
	strict := s.group.own(t, "api", "WAYBILL_EGRESS_ALLOW_CIDRS=", "WAYBILL_ALLOW_HTTP=true", "WAYBILL_DISPATCH=false")
	tn := newTenant(t, strict, "standard", nil)
	refused := 0
	for line := range strings.Lines(string(text)) {
		quoted, ok := strings.CutPrefix(strings.TrimSpace(line), "refused ")
		if !ok {
			continue
		}
		url, err := strconv.Unquote(strings.TrimSpace(quoted))
		require.NoError(t, err)
		url = strings.ReplaceAll(url, "{port}", "443")
		p := tn.call(t, "POST", tn.path+"/endpoints", fields{"url": url, "event_types": []string{"*"}}).isProblem(t, 422, "invalid")
		require.Equal(t, "url", p.Errors[0].Field, "%q", url)
		refused++
	}
	require.GreaterOrEqual(t, refused, 200)
	require.Zero(t, s.group.count(t, "endpoints", tn.id))
}
