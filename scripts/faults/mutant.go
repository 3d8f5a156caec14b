package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// The oracle is trusted because it fails on these two. They are scenarios like the others, and no part of the table.

// relayOff is Waybill with a relay that claims and never hands on: what a killed process had accepted and not started
// stays where it is.
func relayOff() scenario {
	return scenario{
		name: "mutant-relay-off", endpoints: []behavior{healthy}, settleWithin: 15 * time.Second,
		faults: func(ctx context.Context, r *run) error {
			// This process accepts events and does not start them.
			other, err := r.startServer(ctx, "api", "WAYBILL_DISPATCH=false")
			if err != nil {
				return err
			}
			if err := r.crash(ctx, r.server, "WAYBILL_FAILPOINTS=after-claim=hang"); err != nil {
				return err
			}
			return errors.Join(calm(time.Second)(ctx, r), other.terminate())
		},
	}
}

// replyFirst is Waybill with a 202 that does not wait for the commit: a front answers before the server was asked.
func replyFirst() scenario {
	return scenario{
		name: "mutant-reply-first", endpoints: []behavior{healthy},
		faults: func(ctx context.Context, r *run) error {
			front, err := startFront(ctx, r)
			if err != nil {
				return err
			}
			r.front.Store(&front.base)
			err = errors.Join(calm(time.Second)(ctx, r), r.crash(ctx, r.server), calm(time.Second)(ctx, r))
			r.front.Store(nil)
			return errors.Join(err, front.server.Close())
		},
	}
}

// hurry is how much earlier than Waybill the front answers.
const hurry = 100 * time.Millisecond

type front struct {
	base   string
	run    *run
	server *http.Server
}

func startFront(ctx context.Context, r *run) (*front, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{base: "http://" + l.Addr().String(), run: r}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = f.server.Serve(l) }() // ends with Close
	return f, nil
}

// ServeHTTP answers 202 and asks the server afterwards, once.
func (f *front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	w.WriteHeader(http.StatusAccepted)
	time.AfterFunc(hurry, func() {
		// The client already has its 202, whatever the server answers: that is the mutation.
		_, _, _ = f.run.ask(context.Background(), "http://"+f.run.address(0), "POST", req.URL.Path, body)
	})
}
