package main

import (
	"context"
	"path/filepath"

	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

// caFile is the certificate that Waybill is told to trust for the demo receiver's sake.
func caFile(s *stack.Stack) string { return filepath.Join(s.Dir, "ca.pem") }

// startReceiver starts the demo receiver inside this program. It prints what arrives.
func startReceiver(ctx context.Context, s *stack.Stack) (*receiver.Receiver, error) {
	authority, err := receiver.LoadAuthority(caFile(s), filepath.Join(s.Dir, "ca-key.pem"))
	if err != nil {
		return nil, err
	}
	cert, err := authority.Certificate()
	if err != nil {
		return nil, err
	}
	say := func(text string) { s.Out.Say("%s", text) }
	return receiver.Start(ctx, receiver.Options{Addr: s.Ports.Demo.Addr(), Certificate: &cert, Answer: receiver.Demo(say)})
}
