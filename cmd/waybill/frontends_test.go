package main

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"waybill/scripts/receiver"
)

// fakeFrontend answers what a client asks first, and counts.
type fakeFrontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	asked   atomic.Int64
	address string
	server  *grpc.Server
	// cluster is the id of its cluster; "": nobody may ask for it.
	cluster string
}

func (f *fakeFrontend) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	f.asked.Add(1)
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (f *fakeFrontend) GetClusterInfo(ctx context.Context, in *workflowservice.GetClusterInfoRequest) (*workflowservice.GetClusterInfoResponse, error) {
	if f.cluster == "" {
		return f.UnimplementedWorkflowServiceServer.GetClusterInfo(ctx, in)
	}
	return &workflowservice.GetClusterInfoResponse{ClusterId: f.cluster}, nil
}

func newFakeFrontend(t *testing.T, certificate *tls.Certificate) *fakeFrontend {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var options []grpc.ServerOption
	if certificate != nil {
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(certificate)))
	}
	f := &fakeFrontend{address: l.Addr().String(), server: grpc.NewServer(options...)}
	workflowservice.RegisterWorkflowServiceServer(f.server, f)
	go func() { _ = f.server.Serve(l) }() // until the test ends
	t.Cleanup(f.server.Stop)
	return f
}

// dialFrontends returns a client of Waybill's for frontends.
func dialFrontends(t *testing.T, environ []string, frontends ...*fakeFrontend) client.Client {
	t.Helper()
	var addresses []string
	for _, f := range frontends {
		addresses = append(addresses, f.address)
	}
	s, err := parse(nil, good(append(environ, "WAYBILL_TEMPORAL_ADDRESS="+strings.Join(addresses, ", "))...))
	require.NoError(t, err)
	c, err := dialTemporal(s, quiet(), nil, nil)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func ask(t *testing.T, c client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := c.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	require.NoError(t, err)
}

// All frontends have a part of the calls, and those that are left have all of them.
func TestDialTemporal_Frontends(t *testing.T) {
	t.Parallel()
	first, second := newFakeFrontend(t, nil), newFakeFrontend(t, nil)
	c := dialFrontends(t, nil, first, second)
	require.Eventually(t, func() bool {
		ask(t, c)
		return first.asked.Load() > 0 && second.asked.Load() > 0
	}, 10*time.Second, time.Millisecond)
	first.server.Stop()
	before := second.asked.Load()
	require.Eventually(t, func() bool { // a call may have been under way to the first
		_, err := c.WorkflowService().GetSystemInfo(t.Context(), &workflowservice.GetSystemInfoRequest{})
		return err == nil
	}, 10*time.Second, time.Millisecond)
	for range 10 {
		ask(t, c)
	}
	require.GreaterOrEqual(t, second.asked.Load(), before+11)
}

// A frontend that is down is passed over, and found by who asks what is wrong.
func TestCheckTemporal_FrontendDown(t *testing.T) {
	t.Parallel()
	up, down := newFakeFrontend(t, nil), newFakeFrontend(t, nil)
	down.server.Stop()
	s, err := parse(nil, good("WAYBILL_TEMPORAL_ADDRESS="+up.address+","+down.address))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
	defer cancel()
	found := checkTemporal(ctx, s)[0]
	require.Equal(t, doubts, found.Verdict)
	require.Contains(t, found.Says, "no answer at "+down.address)
	require.NotContains(t, found.Says, up.address)
}

// Frontends of two clusters would share the events between two Temporals.
func TestCheckTemporal_FrontendsOfTwoClusters(t *testing.T) {
	t.Parallel()
	first, second, third := newFakeFrontend(t, nil), newFakeFrontend(t, nil), newFakeFrontend(t, nil)
	s, err := parse(nil, good("WAYBILL_TEMPORAL_ADDRESS="+first.address+","+second.address+","+third.address))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*checkTimeout)
	defer cancel()
	first.cluster, second.cluster = "here", "here"
	require.Equal(t, fine, checkTemporal(ctx, s)[0].Verdict, "of one nobody knows")
	third.cluster = "there"
	found := checkTemporal(ctx, s)[0]
	require.Equal(t, fails, found.Verdict)
	require.Contains(t, found.Says, third.address+" of there")
	require.Contains(t, found.Says, " of here")
}

// With TLS each is held to the name that the list has for it.
func TestDialTemporal_FrontendsTLS(t *testing.T) {
	t.Parallel()
	authority, err := receiver.NewAuthority()
	require.NoError(t, err)
	certificate, err := authority.Certificate()
	require.NoError(t, err)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, authority.PEM(), 0o600))
	first, second := newFakeFrontend(t, &certificate), newFakeFrontend(t, &certificate)
	c := dialFrontends(t, []string{"WAYBILL_TEMPORAL_TLS_CA_FILE=" + ca}, first, second)
	require.Eventually(t, func() bool {
		ask(t, c)
		return first.asked.Load() > 0 && second.asked.Load() > 0
	}, 10*time.Second, time.Millisecond)
}
