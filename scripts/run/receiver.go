package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"waybill/scripts/receiver"
	"waybill/scripts/stack"
)

// caFile is the certificate that Waybill is told to trust for the demo receiver's sake.
func caFile(s *stack.Stack) string { return filepath.Join(s.Dir, "ca.pem") }

// startReceiver starts the demo receiver inside this program. It prints what arrives.
func startReceiver(ctx context.Context, s *stack.Stack) (*receiver.Receiver, error) {
	authority, err := receiver.LoadAuthority(caFile(s), filepath.Join(s.Dir, "ca-key.pem"))
	if err != nil {
		return nil, err
	}
	cert, err := authority.Certificate()
	if err != nil {
		return nil, err
	}
	return receiver.Start(ctx, receiver.Options{Addr: s.Ports.Demo.Addr(), Certificate: &cert, Answer: printing(s.Out)})
}

// printing chooses by the path and prints every arrival.
func printing(out *stack.Printer) receiver.Answer {
	return func(a *receiver.Arrival) receiver.Behavior {
		b := demoBehavior(a)
		if a.Method == http.MethodPost { // a person who opens the page is no delivery
			out.Say("%s", describe(a, b))
		}
		return b
	}
}

// demoBehavior: /{anything} accepts, /{anything}/{behavior} behaves so, and / and every other path tell which there are.
func demoBehavior(a *receiver.Arrival) receiver.Behavior {
	if a.Path == "/" {
		return page(http.StatusOK, "The path of an endpoint's URL says how this receiver behaves:\n\n"+demoPaths())
	}
	_, name, named := strings.Cut(strings.Trim(a.Path, "/"), "/")
	if !named {
		return receiver.Accept
	}
	for _, one := range receiver.All() {
		if one.Name == name {
			return one.Answer(a)
		}
	}
	return page(http.StatusNotFound, "This receiver does not know the path "+a.Path+". It has these:\n\n"+demoPaths())
}

func page(status int, text string) receiver.Behavior {
	return receiver.Reply{Status: status, Header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, Body: text}.Behavior()
}

// demoPaths lists the paths of the demo receiver, one a line.
func demoPaths() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-22s %s\n", "/rheo", "accepts; any other name does as well")
	for _, one := range receiver.All() {
		fmt.Fprintf(&b, "  %-22s %s\n", "/rheo/"+one.Name, one.Does)
	}
	return b.String()
}

// describe puts an arrival into a few lines: what was asked and what the receiver does, the headers that are the sender's
// own, and the beginning of the body.
func describe(a *receiver.Arrival, b receiver.Behavior) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s  received %s %s, attempt %d: %s", a.At.Format("15:04:05.000"), a.Method, a.Path, a.Number, b.Does)
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if !usual[name] {
			fmt.Fprintf(&text, "\n    %s: %s", name, shorten(strings.Join(a.Header[name], ", "), 100))
		}
	}
	fmt.Fprintf(&text, "\n    %s", shorten(string(a.Body), 400))
	return text.String()
}

// usual headers are in every request and tell nothing.
var usual = map[string]bool{"Content-Length": true, "Content-Type": true, "Accept-Encoding": true, "User-Agent": true, "Connection": true}

func shorten(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d more)", string(runes[:limit]), len(runes)-limit)
}
