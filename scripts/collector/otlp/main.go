// Command otlp is the OTLP receiver of the OpenTelemetry collector. It listens at the address that is its argument, and prints what it gets
// as lines of JSON. It is a module of its own, so that the collector's dependencies are none of Waybill's.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address string) error {
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	protocols := map[string]any{"protocols": map[string]any{"http": map[string]any{"endpoint": address}}}
	if err := confmap.NewFromStringMap(protocols).Unmarshal(config); err != nil {
		return fmt.Errorf("configure the receiver: %w", err)
	}
	printed, err := consumer.NewTraces(func(_ context.Context, traces ptrace.Traces) error {
		line, err := new(ptrace.JSONMarshaler).MarshalTraces(traces)
		if err != nil {
			return err
		}
		_, err = fmt.Println(string(line))
		return err
	})
	if err != nil {
		return err
	}
	settings := receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	r, err := factory.CreateTraces(ctx, settings, config, printed)
	if err != nil {
		return fmt.Errorf("make the receiver: %w", err)
	}
	if err := r.Start(ctx, componenttest.NewNopHost()); err != nil {
		return fmt.Errorf("start the receiver: %w", err)
	}
	<-ctx.Done()
	return r.Shutdown(context.Background())
}
