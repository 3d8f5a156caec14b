package main

import (
	"context"
	"path/filepath"

	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

// caFile is the certificate that Waybill is told to trust for the demo receiver's sake.
func caFile(s *stack.Stack) string { return filepath.Join(s.Dir, "ca.pem") }

// startReceiver starts the demo receiver inside this program. The context it returns ends with the receiver.
func startReceiver(ctx context.Context, s *stack.Stack) (context.Context, error) {
	authority, err := receiver.LoadAuthority(caFile(s), filepath.Join(s.Dir, "ca-key.pem"))
	if err != nil {
		return nil, err
	}
	cert, err := authority.Certificate()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ready := make(chan struct{})
	go func() {
		cancel(receiver.New(s.Out.Say).Serve(ctx, s.Ports.Demo.Addr(), cert, func() { close(ready) }))
	}()
	select {
	case <-ready:
		return ctx, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
