package stack

import (
	"context"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// temporalConfig returns a file of the Temporal configuration.
func (s *Stack) temporalConfig(name string) string {
	return filepath.Join(s.Root, "scripts", "stack", "temporal", name)
}

// startTemporal brings up the server and makes the namespace ready for Waybill's workflows.
func (s *Stack) startTemporal(ctx context.Context, tools *Tools) error {
	return s.Out.During("starting Temporal", func() error { return s.launchTemporal(ctx, tools) })
}

func (s *Stack) launchTemporal(ctx context.Context, tools *Tools) error {
	config, err := s.serverConfig()
	if err != nil {
		return err
	}
	dynamic, err := s.dynamicConfig()
	if err != nil {
		return err
	}
	env := append(s.serverCollection(),
		"POSTGRES_SEEDS=127.0.0.1", "DB_PORT="+s.Ports.Postgres.String(),
		"POSTGRES_USER="+superuser, "POSTGRES_PWD="+s.password,
		"BIND_ON_IP=127.0.0.1", "TEMPORAL_BROADCAST_ADDRESS=127.0.0.1",
		"FRONTEND_GRPC_PORT="+s.Ports.Temporal.String(),
		"DYNAMIC_CONFIG_FILE_PATH="+dynamic,
	)
	for name, port := range s.Ports.internal {
		env = append(env, name+"="+port.String())
	}
	env = append(env, s.temporalFaults...)
	p, err := s.start(processSpec{
		name: "temporal", path: tools.Path(TemporalServer), env: env, dir: s.Dir,
		args: []string{"--config-file", config, "--allow-no-auth", "start"},
		stop: syscall.SIGTERM, grace: 20 * time.Second, orphaned: syscall.SIGKILL,
		hint: "Start again with make run; if it stays like this, `make clean` starts over with empty data.",
	})
	if err != nil {
		return err
	}
	o, err := newOperator(s.Ports.Temporal.Addr(), s.Namespace)
	if err != nil {
		return err
	}
	defer o.close()
	if err := until(ctx, "Temporal", 2*time.Minute, o.health, p.failure); err != nil {
		return err
	}
	return until(ctx, "namespace "+s.Namespace, time.Minute, o.ensureNamespace, p.failure)
}

// startWebUI starts Temporal's Web UI and waits until it answers.
func (s *Stack) startWebUI(ctx context.Context, tools *Tools) error {
	p, err := s.start(processSpec{
		name: "temporal-ui", path: tools.Path(WebUI), dir: s.Dir,
		args: []string{"--root", filepath.Dir(s.temporalConfig("ui.yaml")), "--config", ".", "--env", "ui", "start"},
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
