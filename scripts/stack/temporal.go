package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// searchAttributes are what operators find Waybill's workflows by.
var searchAttributes = []struct{ name, kind string }{
	{"WaybillTenant", "Keyword"},
	{"WaybillEventType", "Keyword"},
	{"WaybillEndpoints", "KeywordList"},
	{"WaybillStatus", "KeywordList"},
}

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
	cli := temporalCLI{path: tools.Path(TemporalCLI), address: s.Ports.Temporal.Addr(), namespace: s.Namespace}
	if err := until(ctx, "Temporal", 2*time.Minute, cli.health, p.failure); err != nil {
		return err
	}
	return until(ctx, "namespace "+s.Namespace, time.Minute, cli.ensureNamespace, p.failure)
}

// temporalCLI drives the operator's command line, so that the stack needs nothing an operator does not have.
type temporalCLI struct{ path, address, namespace string }

func (c temporalCLI) run(ctx context.Context, args ...string) (string, error) {
	// A person's own profile would point the command at another cluster.
	args = append(args, "--address", c.address, "--disable-config-file", "--disable-config-env", "--color", "never")
	return command{}.run(ctx, c.path, args...)
}

func (c temporalCLI) health(ctx context.Context) error {
	_, err := c.run(ctx, "operator", "cluster", "health")
	return err
}

// ensureNamespace succeeds once the namespace has every search attribute, and takes the next step towards that. The
// server's services learn of a change within seconds, so a failure means: try again.
func (c temporalCLI) ensureNamespace(ctx context.Context) error {
	listed, err := c.run(ctx, "operator", "search-attribute", "list", "--namespace", c.namespace)
	if err != nil {
		_, err := c.run(ctx, "operator", "namespace", "create", "--namespace", c.namespace, "--retention", "72h")
		if err != nil {
			return err
		}
		return fmt.Errorf("namespace %s was created a moment ago", c.namespace)
	}
	create := []string{"operator", "search-attribute", "create", "--namespace", c.namespace}
	missing := len(create)
	for _, attribute := range searchAttributes {
		switch kind := kindIn(listed, attribute.name); kind {
		case attribute.kind:
		case "":
			create = append(create, "--name", attribute.name, "--type", attribute.kind)
		default: // of an earlier version; Temporal does not change a type in place
			_, err := c.run(ctx, "operator", "search-attribute", "remove", "--namespace", c.namespace, "--name", attribute.name, "--yes")
			if err != nil {
				return err
			}
			return fmt.Errorf("search attribute %s was removed a moment ago: it was a %s", attribute.name, kind)
		}
	}
	if len(create) == missing {
		return c.useAttributes(ctx)
	}
	if _, err := c.run(ctx, create...); err != nil {
		return err
	}
	return fmt.Errorf("search attributes were created a moment ago")
}

// kindIn returns the type of a search attribute in the list that the operator's command line prints; "": it is not there.
func kindIn(list, name string) string {
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
			return fields[1]
		}
	}
	return ""
}

// useAttributes succeeds once the frontend, which keeps a copy of its own, knows the search attributes too. Before
// that no workflow could be started with them.
func (c temporalCLI) useAttributes(ctx context.Context) error {
	var query []string
	for _, attribute := range searchAttributes {
		query = append(query, attribute.name+" = 'none'")
	}
	_, err := c.run(ctx, "workflow", "count", "--namespace", c.namespace, "--query", strings.Join(query, " AND "))
	return err
}

// startWebUI starts Temporal's Web UI. Nothing waits for it: it serves once Temporal does.
func (s *Stack) startWebUI(tools *Tools) error {
	_, err := s.start(processSpec{
		name: "temporal-ui", path: tools.Path(WebUI), dir: s.Dir,
		args: []string{"--root", filepath.Dir(s.temporalConfig("ui.yaml")), "--config", ".", "--env", "ui", "start"},
		env: []string{
			"TEMPORAL_ADDRESS=" + s.Ports.Temporal.Addr(), "TEMPORAL_UI_PORT=" + strconv.Itoa(s.Ports.WebUI.Number),
			"TEMPORAL_DEFAULT_NAMESPACE=" + s.Namespace,
		},
		stop: syscall.SIGTERM, grace: 5 * time.Second, orphaned: syscall.SIGKILL,
		hint: "Start again with make run.",
	})
	return err
}
