package main

import (
	"context"
	"fmt"
	"net"
)

// checkAddresses checks the form of the addresses that processes listen at, and that no two of the command's are the same.
func (c *config) checkAddresses(command string, wrong func(variable, format string, args ...any)) {
	var used []string // variables, and their addresses
	for _, a := range []struct {
		variable, address, such string
		used                    bool
	}{
		{"WAYBILL_LISTEN", c.Listen, "127.0.0.1:8080", command != "worker"},
		{"WAYBILL_WORKER_LISTEN", c.WorkerListen, "127.0.0.1:8081", command == "worker"},
		{"WAYBILL_METRICS_LISTEN", c.MetricsListen, "127.0.0.1:9464", true},
		{"WAYBILL_PPROF_LISTEN", c.PprofListen, "127.0.0.1:6060", true},
	} {
		if a.address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			wrong(a.variable, "is host:port such as %s, not %q", a.such, a.address)
			continue
		}
		for i := 0; a.used && i < len(used); i += 2 {
			if overlap(a.address, used[i+1]) {
				wrong(a.variable, "is the address of %s too: choose another port", used[i])
			}
		}
		if a.used {
			used = append(used, a.variable, a.address)
		}
	}
}

// overlap reports whether no process can listen at both of two addresses.
func overlap(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && portA != "" && (hostA == hostB || covers(hostA, hostB) || covers(hostB, hostA))
}

// covers reports whether who listens at a host does so at the other one too.
func covers(wide, host string) bool {
	if ip := net.ParseIP(wide); wide == "" || ip != nil && ip.IsUnspecified() && ip.To4() == nil {
		return true
	} else if ip == nil || !ip.IsUnspecified() {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || ip.To4() != nil
}

// listen opens the address for the requests of this process; nil: it answers none. It comes before all work, so that a process whose address
// another one has ends before it has begun something.
func (p *process) listen(ctx context.Context, what parts) (net.Listener, error) {
	variable, address := "WAYBILL_LISTEN", p.Listen
	if !what.api {
		variable, address = "WAYBILL_WORKER_LISTEN", p.WorkerListen
	}
	if address == "" {
		return nil, nil
	}
	return openAddress(ctx, variable, address)
}

// openAddress listens at the address that a variable sets.
func openAddress(ctx context.Context, variable, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return listener, nil
}
