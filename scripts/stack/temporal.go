package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// temporalConfig returns a file of the Temporal configuration.
func (s *Stack) temporalConfig(name string) string {
	if s.Frozen != "" {
		return s.frozenFile(name)
	}
	return filepath.Join(s.Root, "scripts", "stack", "temporal", name)
}

// startTemporal brings up the server and makes the namespace ready for Waybill's workflows.
func (s *Stack) startTemporal(ctx context.Context, tools *Tools) error {
	return s.Out.During("starting Temporal", func() error { return s.launchTemporal(ctx, tools) })
}

// launchTemporal starts every process of Temporal's, the first one before the others: it writes down what the cluster is.
func (s *Stack) launchTemporal(ctx context.Context, tools *Tools) error {
	nodes := s.nodes()
	if err := s.launchNode(ctx, tools, &nodes[0]); err != nil {
		return err
	}
	var further []func(context.Context) error
	for _, n := range nodes[1:] {
		further = append(further, func(ctx context.Context) error { return s.launchNode(ctx, tools, &n) })
	}
	if err := Parallel(ctx, further...); err != nil {
		return err
	}
	return EnsureNamespace(ctx, s.TemporalAddress(), s.Namespace)
}

// launchNode starts a process of Temporal's and waits until it answers.
func (s *Stack) launchNode(ctx context.Context, tools *Tools, n *node) error {
	p, err := s.startNode(tools, n)
	if err != nil {
		return err
	}
	return until(ctx, n.name, 2*time.Minute, func(ctx context.Context) error { return s.askNode(ctx, n) }, p.failure)
}

func (s *Stack) startNode(tools *Tools, n *node) (*Process, error) {
	config, err := s.serverConfig()
	if err != nil {
		return nil, err
	}
	dynamic, err := s.dynamicConfig()
	if err != nil {
		return nil, err
	}
	env := append(s.serverCollection(n),
		"POSTGRES_SEEDS=127.0.0.1", "DB_PORT="+s.temporalPostgres().port.String(),
		"POSTGRES_USER="+superuser, "POSTGRES_PWD="+s.password,
		"BIND_ON_IP=127.0.0.1", "TEMPORAL_BROADCAST_ADDRESS=127.0.0.1",
		"DYNAMIC_CONFIG_FILE_PATH="+dynamic,
	)
	for name, port := range n.ports {
		env = append(env, name+"="+port.String())
	}
	env = append(env, s.temporalFaults...)
	args := []string{"--config-file", config, "--allow-no-auth", "start"}
	if n.service != "" {
		args = append(args, "--service", n.service)
	}
	return s.start(processSpec{
		name: n.name, path: tools.Path(TemporalServer), env: env, dir: s.Dir, args: args,
		stop: syscall.SIGTERM, grace: 20 * time.Second, orphaned: syscall.SIGKILL,
		hint: "Start again with make run; if it stays like this, `make clean` starts over with empty data.",
	})
}

// askNode succeeds when a process of Temporal's serves.
func (s *Stack) askNode(ctx context.Context, n *node) error {
	port, service := n.health()
	o, err := newOperator(port.Addr(), s.Namespace)
	if err != nil {
		return err
	}
	defer o.close()
	return o.health(ctx, service)
}

// StartNode starts one of Temporal's processes again and waits until it answers.
func (s *Stack) StartNode(ctx context.Context, name string) error {
	for _, n := range s.nodes() {
		if n.name == name {
			return s.launchNode(ctx, s.tools(), &n)
		}
	}
	return fmt.Errorf("the stack has no Temporal process %s", name)
}

// startWebUI starts Temporal's Web UI and waits until it answers.
func (s *Stack) startWebUI(ctx context.Context, tools *Tools) error {
	p, err := s.start(processSpec{
		name: "temporal-ui", path: tools.Path(WebUI), dir: s.Dir,
		args: []string{"--root", filepath.Join(s.Root, "scripts", "stack", "temporal"), "--config", ".", "--env", "ui", "start"},
		env: []string{
			"TEMPORAL_ADDRESS=" + s.Ports.Temporal.Addr(), "TEMPORAL_UI_PORT=" + strconv.Itoa(s.Ports.WebUI.Number),
			"TEMPORAL_DEFAULT_NAMESPACE=" + s.Namespace,
		},
		stop: syscall.SIGTERM, grace: 5 * time.Second, orphaned: syscall.SIGKILL,
		hint: "Start again with make run.",
	})
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) error { return answersOK(ctx, "http://"+s.Ports.WebUI.Addr()+"/healthz") }
	return until(ctx, "Temporal's Web UI", time.Minute, ready, p.failure)
}
