// Command run brings up Waybill with everything it needs on this machine, and keeps it up until Ctrl-C. What it has
// built and stored stays in .waybill for the next time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"waybill/scripts/platforms"
	"waybill/scripts/stack"
)

func main() {
	clean := flag.Bool("clean", false, "remove the stack's data instead, keeping the tools that were built")
	tools := flag.Bool("tools", false, "build the tools instead, and start nothing")
	mail := flag.Bool("inbox", false, "print the text of each mail that is caught, not only its subject")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once; the kernel or the next run then ends its children.
	context.AfterFunc(ctx, stop)

	if err := run(ctx, *clean, *tools, *mail, stack.NewPrinter(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, clean, tools, mail bool, out *stack.Printer) (err error) {
	root, err := stack.FindRoot()
	if err != nil {
		return err
	}
	if tools {
		return stack.NewTools(filepath.Join(root, ".waybill", "bin"), out).Ensure(ctx, stack.EngineTools()...)
	}
	ports, err := stack.PortsFromEnv()
	if err != nil {
		return err
	}
	if clean {
		ports = stack.Ports{} // nothing will listen, so the ports may be in use
	}
	if ownMailServer() {
		ports.Mail = stack.Port{} // the server may listen there
	}
	s, err := stack.Open(ctx, stack.Options{
		Root: root, Dir: filepath.Join(root, ".waybill"),
		Ports: ports, Database: "waybill", Namespace: "waybill", WebUI: true, Out: out,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if clean {
		return s.Remove()
	}
	err = serve(s.Watch(ctx), s, mail)
	if ctx.Err() != nil {
		out.Say("\nstopping; the data stays in .waybill")
		return nil // a person asked for it
	}
	return err
}

// serve brings everything up, says where it is, and waits for the end.
func serve(ctx context.Context, s *stack.Stack, wholeMail bool) (err error) {
	began := time.Now()
	key := os.Getenv("WAYBILL_API_KEY")
	if key == "" {
		if key, err = stack.APIKey(s.Dir); err != nil {
			return err
		}
	}
	demo, err := startReceiver(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, demo.Close()) }()
	mail, err := startInbox(ctx, s, wholeMail)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mail.Close()) }()
	w := stack.Waybill{
		Binary: filepath.Join(s.Dir, "bin", "waybill"), APIKey: key,
		ExtraEnv: append(mail.env(),
			"WAYBILL_EGRESS_ALLOW_CIDRS=127.0.0.0/8,::1/128", "WAYBILL_EGRESS_CA_FILE="+caFile(s), "WAYBILL_ALLOW_HTTP=true"),
	}
	if err := bringUp(ctx, s, w); err != nil {
		return err
	}
	client := platforms.NewClient("http://"+s.Ports.API.Addr(), key)
	fresh, err := client.SetUp(ctx, demo.URL())
	if err != nil {
		return fmt.Errorf("set up the demonstration: %w", err)
	}
	if err := say(ctx, s, client, key, time.Since(began)); err != nil {
		return err
	}
	var background sync.WaitGroup
	defer background.Wait()
	background.Go(func() { complete(ctx, s) })
	err = client.PublishSamples(ctx, fresh, func(p platforms.Published) {
		s.Out.Say("published %s to %s: %s", p.Type, p.Tenant, p.Event)
	})
	if err != nil {
		return fmt.Errorf("publish the first events: %w", err)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// complete builds what nobody has to wait for. Deliveries work without it.
func complete(ctx context.Context, s *stack.Stack) {
	there := map[string]bool{stack.WebUI.Name: s.Built(stack.WebUI), stack.TemporalCLI.Name: s.Built(stack.TemporalCLI)}
	err := s.Complete(ctx, func(tool stack.Tool) {
		switch {
		case there[tool.Name]: // as the greeting said
		case tool.Name == stack.WebUI.Name:
			s.Out.Say("Temporal's Web UI is there now: %s", webUI(s))
		default:
			s.Out.Say("Temporal's command line is there now: %s", commandLine(s))
		}
	})
	if err != nil && ctx.Err() == nil {
		s.Out.Say("All works but Temporal's Web UI or its command line, which `make tools` tries to build again: %v", err)
	}
}

// bringUp builds Waybill while the engine starts, then starts it.
func bringUp(ctx context.Context, s *stack.Stack, w stack.Waybill) error {
	err := stack.Parallel(ctx, s.Up, func(ctx context.Context) error {
		return stack.BuildWaybill(ctx, s.Root, w.Binary, s.Out)
	})
	if err != nil {
		return err
	}
	if err := s.Migrate(ctx, w); err != nil {
		return fmt.Errorf("prepare Waybill's tables: %w", err)
	}
	return s.Out.During("starting Waybill", func() error { return s.StartWaybill(ctx, w) })
}
