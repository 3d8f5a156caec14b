// Command demo publishes every example event of every dialect to the Waybill that make run brought up; make run's
// terminal shows them arrive.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"waybill/scripts/platforms"
	"waybill/scripts/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	ports, err := stack.PortsFromEnv()
	if err != nil {
		return err
	}
	key := os.Getenv("WAYBILL_API_KEY")
	if key == "" {
		kept, err := os.ReadFile(filepath.Join(root, ".waybill", "api-key"))
		if err != nil {
			return fmt.Errorf("read the API key (has make run been started?): %w", err)
		}
		key = strings.TrimSpace(string(kept))
	}
	client := platforms.NewClient("http://"+ports.API.Addr(), key)
	return client.PublishAll(ctx, func(p platforms.Published) {
		fmt.Printf("%-24s %-34s %s, deliveries: %d\n", p.Tenant, p.Type, p.Event, p.Deliveries)
	})
}
