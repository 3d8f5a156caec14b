package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"waybill/scripts/stack"
)

// vulnerabilities looks for known vulnerabilities of what the code calls. Where their database cannot be reached, it says so and checks
// nothing: that is no failure of the change at hand.
func vulnerabilities(ctx context.Context, root string, tools *stack.Tools) error {
	database := os.Getenv("GOVULNDB")
	if database == "" {
		database = "https://vuln.go.dev"
	}
	if err := reachVulnerabilities(ctx, database); err != nil {
		fmt.Printf("govulncheck: NOT CHECKED for known vulnerabilities: the database %s cannot be reached: %s\n", database, err)
		return nil
	}
	if err := tools.Ensure(ctx, govulncheck); err != nil {
		return err
	}
	return step(ctx, root, tools.Path(govulncheck), "-db", database, "./...")
}

// reachVulnerabilities returns nil when the database answers as one does. A file URL is left to govulncheck.
func reachVulnerabilities(ctx context.Context, database string) error {
	if strings.HasPrefix(database, "file:") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(database, "/")+"/index/db.json", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return nil
}
