package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"

	"waybill/cmd/waybill/cli"
)

// healthTimeout bounds the whole command, because whoever runs it does so every few seconds.
const healthTimeout = 3 * time.Second

func newHealth(i invocation) *cobra.Command {
	var address string
	var live bool
	c := &cobra.Command{
		Use:   "health",
		Short: "Whether the process beside it works, for containers",
		Long: "Asks the process of the same container or machine whether it can work, within 3 seconds, and exits with 0 or 1. The address is the one " +
			"that it listens at: WAYBILL_LISTEN, and where nothing listens there WAYBILL_WORKER_LISTEN. It needs no other setting.\n\n" +
			"It asks /readyz, which says no while the database does not answer; with --live it asks /healthz, which only says that the process runs.",
		Example: "  waybill health\n  waybill health --live\n  waybill health --address=127.0.0.1:8081",
		GroupID: groupOther,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), healthTimeout)
			defer cancel()
			addresses, err := healthAddresses(address, env.ToMap(i.environ))
			if err != nil {
				return err
			}
			path := "/readyz"
			if live {
				path = "/healthz"
			}
			return askHealth(ctx, i.out, addresses, path)
		},
	}
	c.Flags().StringVar(&address, "address", "", "host and port to ask, in place of the variables")
	c.Flags().BoolVar(&live, "live", false, "ask only whether the process runs")
	return c
}

// healthAddresses returns where the process may listen, as addresses to dial.
func healthAddresses(given string, variables map[string]string) ([]string, error) {
	listens := []string{given}
	if given == "" {
		listens = []string{variables["WAYBILL_LISTEN"], variables["WAYBILL_WORKER_LISTEN"]}
		if listens[0] == "" {
			listens[0] = "127.0.0.1:8080"
		}
	}
	var out []string
	for _, listen := range listens {
		if listen == "" {
			continue
		}
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, cli.Usagef("%q is no address: it is host:port such as 127.0.0.1:8080", listen)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "localhost" // whoever listens everywhere listens here
		}
		out = append(out, net.JoinHostPort(host, port))
	}
	return out, nil
}

// askHealth asks the addresses in turn. The first that answers decides.
func askHealth(ctx context.Context, out io.Writer, addresses []string, path string) error {
	// A proxy has no part in it.
	asker := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		// Waybill leads nowhere else. What does is another program, whose page must not count as health.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var errs []error
	for _, address := range addresses {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return err
		}
		resp, err := asker.Do(req)
		if err != nil {
			errs = append(errs, fmt.Errorf("nothing answers at %s: %w", address, errors.Unwrap(err)))
			continue
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s%s answers %s", address, path, resp.Status)
		}
		fmt.Fprintf(out, "ok: %s%s\n", address, path)
		return nil
	}
	return errors.Join(errs...)
}
