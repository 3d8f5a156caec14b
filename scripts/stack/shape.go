package stack

import (
	"strconv"
	"strings"
)

// Shape says of how many processes a stack is made. The zero Shape is one of each, as `make run` has it.
type Shape struct {
	// Nodes is how many Temporal nodes form one cluster; 0: one.
	Nodes int
	// Apart has a process for each service of a node, frontend, history, matching and worker, as on machines of their own.
	Apart bool
	// Shards is how many history shards there are, which nothing can change once there is data; 0: as server.yaml says.
	Shards int
	// OwnPostgres keeps Temporal's databases in a Postgres server of their own.
	OwnPostgres bool
	// APIs and Workers are how many `waybill api` and `waybill worker` belong to it. Whoever opens the stack starts them; none of
	// both means one `waybill serve`.
	APIs, Workers int
}

// Cluster is the shape of an installation on several machines.
func Cluster() Shape { return Shape{Nodes: 3, Shards: 16, OwnPostgres: true, APIs: 2, Workers: 4} }

// services are what a Temporal server is made of, the one first that the others need.
var services = []string{"frontend", "history", "matching", "worker"}

// node is a process of Temporal's.
type node struct {
	name string
	// service is the only one that it runs; "": all of them.
	service string
	// ports are by the environment variable of server.yaml.
	ports map[string]Port
}

// frontend is the variable of the frontend's port, workflowService what is asked there how it is.
const (
	frontend        = "FRONTEND_GRPC_PORT"
	workflowService = "temporal.api.workflowservice.v1.WorkflowService"
)

// nodes lists Temporal's processes. One alone is named "temporal", several "temporal-1", "temporal-2", and those of one service
// "temporal-1-history".
func (s *Stack) nodes() []node {
	if s.Shape.Nodes <= 1 && !s.Shape.Apart {
		return []node{{name: "temporal", ports: s.Ports.node(0)}}
	}
	var all []node
	for i := range max(1, s.Shape.Nodes) {
		name := "temporal-" + strconv.Itoa(i+1)
		if !s.Shape.Apart {
			all = append(all, node{name: name, ports: s.Ports.node(i)})
			continue
		}
		for _, service := range services {
			all = append(all, node{name: name + "-" + service, service: service, ports: s.Ports.node(i)})
		}
	}
	return all
}

// health returns the port that tells how the process is, and the name by which it is asked, which only a frontend needs.
func (n *node) health() (Port, string) {
	if n.service == "" || n.service == services[0] {
		return n.ports[frontend], workflowService
	}
	return n.ports[strings.ToUpper(n.service)+"_GRPC_PORT"], ""
}

// TemporalNodes returns the names of Temporal's processes, as Kill and StartNode take them.
func (s *Stack) TemporalNodes() []string {
	var names []string
	for _, n := range s.nodes() {
		names = append(names, n.name)
	}
	return names
}

// Frontends returns where the frontends are, host:port each.
func (s *Stack) Frontends() []string {
	var all []string
	for i := range max(1, s.Shape.Nodes) {
		all = append(all, s.Ports.node(i)[frontend].Addr())
	}
	return all
}

// TemporalAddress returns where clients find Temporal, as WAYBILL_TEMPORAL_ADDRESS takes it: every frontend.
func (s *Stack) TemporalAddress() string { return strings.Join(s.Frontends(), ",") }

// temporalPostgres has Temporal's databases.
func (s *Stack) temporalPostgres() pgServer {
	if !s.Shape.OwnPostgres {
		return s.mainPostgres()
	}
	// A node may open 120, and tools need some.
	return pgServer{name: "postgres-temporal", port: s.Ports.temporalPostgres, connections: 80 + 120*max(1, s.Shape.Nodes)}
}

// shapedConfig makes of the shipped server.yaml what the nodes of a cluster have in common.
func (s *Stack) shapedConfig(text string) string {
	if s.Shape.Shards > 0 {
		text = strings.ReplaceAll(text, "numHistoryShards: 4\n", "numHistoryShards: "+strconv.Itoa(s.Shape.Shards)+"\n")
	}
	if s.Shape.Nodes > 1 || s.Shape.Apart {
		// A process finds the frontends by membership, as it finds history and matching.
		text = strings.ReplaceAll(text, publicClient, "")
		// Every node writes down the same address of the cluster.
		text = strings.ReplaceAll(text, `rpcAddress: "127.0.0.1:{{ $frontend }}"`, `rpcAddress: "`+s.Ports.Temporal.Addr()+`"`)
	}
	return text
}

// publicClient is the part of server.yaml by which a single server finds its own frontend.
const publicClient = `publicClient:
  hostPort: "{{ default "127.0.0.1" (env "TEMPORAL_BROADCAST_ADDRESS") }}:{{ $frontend }}"
`

// PostgresServers returns the names of the Postgres servers' processes.
func (s *Stack) PostgresServers() []string {
	names := []string{s.mainPostgres().name}
	if s.Shape.OwnPostgres {
		names = append(names, s.temporalPostgres().name)
	}
	return names
}
