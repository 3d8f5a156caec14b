// Command demo shows what Waybill is for, on the Waybill that make run brought up: a story of a minute, told as it happens. With
// -examples it publishes every example event of every dialect instead; make run's terminal shows them arrive.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waybill/scripts/platforms"
	"waybill/scripts/stack"
	"waybill/scripts/story"
)

func main() {
	examples := flag.Bool("examples", false, "publish every example event of every dialect instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *examples); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, examples bool) error {
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
	api := "http://" + ports.API.Addr()
	client := platforms.NewClient(api, key)
	if examples {
		return client.PublishAll(ctx, func(p platforms.Published) {
			fmt.Printf("%-24s %-34s %s, deliveries: %d\n", p.Tenant, p.Type, p.Event, p.Deliveries)
		})
	}
	o := story.Options{Client: client, Dashboard: api, Say: stack.NewPrinter(os.Stdout).Say}
	if os.Getenv("WAYBILL_SMTP_HOST") == "" { // otherwise mail goes to a server of this person
		o.Mails = func(ctx context.Context, to string) ([]story.Mail, error) { return mails(ctx, ports.Mail.Addr(), to) }
	}
	return story.Tell(ctx, o)
}

// mails asks the inbox of make run for what came to an address.
func mails(ctx context.Context, inbox, to string) ([]story.Mail, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+inbox+"/mails.json", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("look for the mail: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("look for the mail: the inbox answered %s", res.Status)
	}
	var list []story.Mail
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(&list); err != nil {
		return nil, fmt.Errorf("look for the mail: %w", err)
	}
	return slices.DeleteFunc(list, func(m story.Mail) bool { return !slices.Contains(m.To, to) }), nil
}
