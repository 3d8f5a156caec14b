package main

import (
	"net"
	"strconv"
	"strings"

	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// setFrontends has a client call Temporal's frontends in turn and pass over one that does not answer, which is what gRPC does with all
// addresses of a name. A list is none of the names that gRPC can look up, so it has a resolver of its own.
func setFrontends(o *client.Options, addresses []string) {
	o.HostPort = addresses[0]
	if len(addresses) == 1 {
		return
	}
	var state resolver.State
	for _, address := range addresses {
		// TLS holds each frontend to its own name.
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address, ServerName: address})
	}
	list := manual.NewBuilderWithScheme("frontends")
	list.InitialState(state)
	o.HostPort = list.Scheme() + ":///" + strings.Join(addresses, ",")
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithResolvers(list))
}

// checkFrontends checks the addresses of Temporal's frontends.
func (s *settings) checkFrontends(wrong func(variable, format string, args ...any)) {
	given := s.TemporalAddress
	s.TemporalAddress = nil
	for _, address := range given {
		address = strings.TrimSpace(address)
		s.TemporalAddress = append(s.TemporalAddress, address)
		if _, port, err := net.SplitHostPort(address); err != nil || !isPort(port) {
			wrong("WAYBILL_TEMPORAL_ADDRESS", "is host:port such as 127.0.0.1:7233, or several by commas, not %q", address)
		}
	}
}

// isPort reports whether a text is the number of a port. With several frontends, one at a port that is none would only be passed over.
func isPort(text string) bool {
	number, err := strconv.ParseUint(text, 10, 16)
	return err == nil && number > 0
}
