package stack

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
)

// Port is a TCP port of the loopback address.
type Port struct {
	Number int
	// For says what listens there; Variable is the environment variable that changes it, empty for a port that was
	// found free.
	For, Variable string
}

// Addr returns the port as host:port.
func (p Port) Addr() string { return "127.0.0.1:" + strconv.Itoa(p.Number) }

func (p Port) String() string { return strconv.Itoa(p.Number) }

// Ports are the ports of one stack.
type Ports struct {
	API, WebUI, Temporal, Postgres, Demo, Mail Port
	// internal are the Temporal services' own: gRPC for history, matching and worker, membership for all four.
	internal map[string]Port
	// temporalPostgres is where Temporal's databases are when they have a server of their own, and further are the ports of
	// every Temporal node but the first, by the environment variable of server.yaml. Only a stack of such a shape has them.
	temporalPostgres Port
	further          []map[string]Port
}

// node returns the ports of a Temporal node, counted from 0, by the environment variable of server.yaml.
func (p Ports) node(i int) map[string]Port {
	if i > 0 {
		return p.further[i-1]
	}
	ports := maps.Clone(p.internal)
	ports[frontend] = p.Temporal
	return ports
}

// internalOffsets are Temporal's usual distances from its main port, by the environment variable of server.yaml. Steady
// ports matter: the server finds the addresses of its last run in the database and would wait for members that are
// gone.
var internalOffsets = map[string]int{
	"HISTORY_GRPC_PORT": 1, "MATCHING_GRPC_PORT": 2, "WORKER_GRPC_PORT": 6,
	"FRONTEND_MEMBERSHIP_PORT": -300, "HISTORY_MEMBERSHIP_PORT": -299, "MATCHING_MEMBERSHIP_PORT": -298, "WORKER_MEMBERSHIP_PORT": -294,
}

// The range of Temporal's ports. It keeps them in a smallint, and with pgx a greater one is an error; the lower end
// leaves room for the offsets.
const lowestTemporal, highestTemporal = 1400, 32700

// PortsFromEnv returns the ports of `make run`: the usual ones unless an environment variable says otherwise.
func PortsFromEnv() (Ports, error) {
	var p Ports
	var errs []error
	for _, def := range []struct {
		port     *Port
		usual    int
		what     string
		variable string
	}{
		{&p.API, 8080, "Waybill's API", "WAYBILL_RUN_API_PORT"},
		{&p.WebUI, 8233, "Temporal's Web UI", "WAYBILL_RUN_UI_PORT"},
		{&p.Temporal, 7233, "Temporal", "WAYBILL_RUN_TEMPORAL_PORT"},
		{&p.Postgres, 5433, "Postgres", "WAYBILL_RUN_POSTGRES_PORT"},
		{&p.Demo, 8090, "the demo receiver", "WAYBILL_RUN_DEMO_PORT"},
		{&p.Mail, 8025, "the page with the mail", "WAYBILL_RUN_MAIL_PORT"},
	} {
		*def.port = Port{Number: def.usual, For: def.what, Variable: def.variable}
		text := os.Getenv(def.variable)
		if text == "" {
			continue
		}
		lowest, highest := 1, 65535
		if def.port == &p.Temporal {
			lowest, highest = lowestTemporal, highestTemporal
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < lowest || n > highest {
			errs = append(errs, fmt.Errorf("%s is %q: set it to a port from %d to %d", def.variable, text, lowest, highest))
			continue
		}
		def.port.Number = n
	}
	p.internal = map[string]Port{}
	for name, offset := range internalOffsets {
		p.internal[name] = Port{Number: p.Temporal.Number + offset, For: "a service inside Temporal", Variable: p.Temporal.Variable}
	}
	return p, errors.Join(errs...)
}

// FreePorts returns ports that nobody listens on, for a stack that must not meet another.
func FreePorts() (Ports, error) { return freePorts(Shape{}) }

func freePorts(shape Shape) (Ports, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	var failed error
	// All are held until the last is found, or one could be found twice.
	next := func(what string) Port {
		l, err := listenLow()
		if err != nil {
			failed = fmt.Errorf("find a free port for %s: %w", what, err)
			return Port{}
		}
		held = append(held, l)
		return Port{Number: l.Addr().(*net.TCPAddr).Port, For: what}
	}
	p := Ports{
		API: next("the API"), WebUI: next("the Web UI"), Temporal: next("Temporal"), Postgres: next("Postgres"), Demo: next("the demo receiver"),
		Mail: next("the page with the mail"),
	}
	inside := func() map[string]Port {
		ports := map[string]Port{}
		for name := range internalOffsets {
			ports[name] = next("a service inside Temporal")
		}
		return ports
	}
	p.internal = inside()
	if shape.OwnPostgres {
		p.temporalPostgres = next("Temporal's Postgres")
	}
	for i := 1; i < shape.Nodes; i++ {
		ports := inside()
		ports[frontend] = next("a further Temporal")
		p.further = append(p.further, ports)
	}
	return p, failed
}

// listenLow listens on some free port that Temporal can use. The system's own choice, port 0, is mostly above.
func listenLow() (net.Listener, error) {
	const lowest, tries = 10000, 100
	var l net.Listener
	var err error
	for range tries {
		l, err = net.Listen("tcp", Port{Number: lowest + rand.IntN(highestTemporal-lowest)}.Addr())
		if err == nil {
			return l, nil
		}
	}
	return nil, err
}

func (p Ports) all() []Port {
	all := []Port{p.API, p.WebUI, p.Temporal, p.Postgres, p.Demo, p.Mail}
	if p.temporalPostgres.Number != 0 {
		all = append(all, p.temporalPostgres)
	}
	all = slices.AppendSeq(all, maps.Values(p.internal))
	for _, ports := range p.further {
		all = slices.AppendSeq(all, maps.Values(ports))
	}
	return all
}

// check reports every port that is taken.
func (p Ports) check() error {
	var errs []error
	taken := map[int]Port{}
	for _, port := range p.all() {
		if other, is := taken[port.Number]; is && port.Number != 0 {
			errs = append(errs, fmt.Errorf("port %d is for %s and for %s as well: choose another port with %s=<port>",
				port.Number, other.For, port.For, other.Variable))
			continue
		}
		taken[port.Number] = port
		errs = append(errs, port.check())
	}
	return errors.Join(errs...)
}

func (p Port) check() error {
	l, err := net.Listen("tcp", p.Addr())
	if err == nil {
		return l.Close()
	}
	if p.Variable == "" {
		return fmt.Errorf("port %d, for %s, was taken in the meantime; start again: %w", p.Number, p.For, err)
	}
	return fmt.Errorf("port %d, for %s, is in use: end what listens there, or choose another port with %s=<port>", p.Number, p.For, p.Variable)
}
