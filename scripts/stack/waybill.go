package stack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"syscall"
	"time"
)

// Waybill says how to start Waybill on a stack that is up.
type Waybill struct {
	// Binary is the built command, APIKey the key of its administrator.
	Binary, APIKey string
	// ExtraEnv is added to what the stack itself sets.
	ExtraEnv []string
}

// BuildWaybill builds the command of the checkout.
func BuildWaybill(ctx context.Context, root, binary string, out *Printer) error {
	return out.During("building waybill", func() error {
		return command{dir: root, env: compilerCollection}.run(ctx, "go", "build", "-o", binary, "./cmd/waybill")
	})
}

// Migrate brings Waybill's own tables up to date.
func (s *Stack) Migrate(ctx context.Context, w Waybill) error {
	password, err := s.processPassword()
	if err != nil {
		return err
	}
	if err := s.createProcessRole(ctx, password); err != nil {
		return err
	}
	env, err := s.waybillEnv(w)
	if err != nil {
		return err
	}
	env = append(env, "WAYBILL_DATABASE_URL="+s.DatabaseURL(s.Database), "WAYBILL_DATABASE_ROLE="+processRole)
	return command{env: env, dir: s.Dir}.run(ctx, w.Binary, "migrate")
}

// StartWaybill starts `waybill serve` and waits until it is ready.
func (s *Stack) StartWaybill(ctx context.Context, w Waybill) error {
	env, err := s.waybillEnv(w)
	if err != nil {
		return err
	}
	p, err := s.start(processSpec{
		name: "waybill", path: w.Binary, args: []string{"serve"}, env: env, dir: s.Dir,
		// In-flight attempts may finish first.
		stop: syscall.SIGTERM, grace: 30 * time.Second, orphaned: syscall.SIGKILL,
		hint: "Start again with make run; what was accepted is in Postgres and goes on from there.",
	})
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) error { return answersOK(ctx, "http://"+s.Ports.API.Addr()+"/readyz") }
	return until(ctx, "Waybill", time.Minute, ready, p.failure)
}

func (s *Stack) waybillEnv(w Waybill) ([]string, error) {
	keys, err := Secret(s.path("encryption-key"), newEncryptionKey)
	if err != nil {
		return nil, err
	}
	password, err := s.processPassword()
	if err != nil {
		return nil, err
	}
	env := []string{
		"WAYBILL_DATABASE_URL=" + databaseURL(s.mainPostgres(), processRole, password, s.Database),
		"WAYBILL_LISTEN=" + s.Ports.API.Addr(),
		"WAYBILL_TEMPORAL_ADDRESS=" + s.TemporalAddress(),
		"WAYBILL_TEMPORAL_NAMESPACE=" + s.Namespace,
		"WAYBILL_API_KEY=" + w.APIKey,
		"WAYBILL_ENCRYPTION_KEYS=" + keys,
		"WAYBILL_PUBLIC_URL=http://" + s.Ports.API.Addr(),
	}
	if s.WebUI {
		env = append(env, "WAYBILL_TEMPORAL_UI_URL=http://"+s.Ports.WebUI.Addr())
	}
	return append(env, w.ExtraEnv...), nil
}

// processPassword is not the owner's: whoever reads the processes' environment does not own the tables.
func (s *Stack) processPassword() (string, error) {
	return Secret(s.path("process-password"), newHexKey)
}

// answersOK succeeds when a URL answers 200.
func answersOK(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1000))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", url, res.Status, body)
	}
	return nil
}

// APIKey returns the administrator's key kept in a state folder, made on first use.
func APIKey(dir string) (string, error) { return Secret(filepath.Join(dir, "api-key"), newHexKey) }
