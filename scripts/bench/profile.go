package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// profileSeconds is long enough for a picture and shorter than most runs.
const profileSeconds = 5

// startProfile begins to take a CPU profile of `waybill serve`, if profiles are asked for, and returns what waits for
// it and writes it down.
func (r *rig) startProfile(ctx context.Context, key string) (finish func() error) {
	if r.opts.pprofDir == "" || r.server == nil || strings.HasPrefix(key, "accept/") {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	file := filepath.Join(r.opts.pprofDir, r.mode+"-"+strings.ReplaceAll(key, "/", "-")+".pprof")
	go func() { done <- r.profile(ctx, file) }()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("take a profile: %w", err)
		}
		return nil
	}
}

func (r *rig) profile(ctx context.Context, file string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", r.engine.profiles, profileSeconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := r.api.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", url, res.Status, data)
	}
	return errors.Join(os.MkdirAll(r.opts.pprofDir, 0o755), os.WriteFile(file, data, 0o644))
}
