// Command demo is a receiver for trying Waybill with, in docker-compose: it prints every webhook that arrives, and the path decides how it
// behaves. With -check it asks one that runs whether it answers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"waybill/scripts/receiver"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "address to listen at, by plain http")
	check := flag.String("check", "", "ask the receiver at this address whether it answers, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *check != "" {
		err = ask(ctx, *check)
	} else {
		err = run(ctx, *listen, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// run receives until the context is done.
func run(ctx context.Context, address string, out io.Writer) error {
	say := func(text string) { fmt.Fprintln(out, text) }
	r, err := receiver.Start(ctx, receiver.Options{Addr: address, Answer: receiver.Demo(say)})
	if err != nil {
		return err
	}
	say("The receiver listens at " + r.URL() + ". It behaves as the path says:\n" + receiver.DemoPaths())
	<-ctx.Done()
	return r.Close()
}

// ask returns nil when the receiver at the address answers.
func ask(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New("the receiver answers " + res.Status)
	}
	return nil
}
