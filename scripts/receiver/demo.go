package receiver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Demo is the answer of a receiver for trying Waybill with: it chooses by the path, and says of every delivery what it was and what
// the receiver does.
func Demo(say func(string)) Answer {
	return func(a *Arrival) Behavior {
		b := demoBehavior(a)
		if a.Method == http.MethodPost { // a person who opens the page is no delivery
			say(describe(a, b))
		}
		return b
	}
}

// demoBehavior: /{anything} accepts, /{anything}/{behavior} behaves so, and / and every other path tell which there are.
func demoBehavior(a *Arrival) Behavior {
	if a.Path == "/" {
		return page(http.StatusOK, "The path of an endpoint's URL says how this receiver behaves:\n\n"+DemoPaths())
	}
	_, name, named := strings.Cut(strings.Trim(a.Path, "/"), "/")
	if !named {
		return Accept
	}
	for _, one := range All() {
		if one.Name == name {
			return one.Answer(a)
		}
	}
	return page(http.StatusNotFound, "This receiver does not know the path "+a.Path+". It has these:\n\n"+DemoPaths())
}

func page(status int, text string) Behavior {
	return Reply{Status: status, Header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, Body: text}.Behavior()
}

// DemoPaths lists the paths of the demo receiver, one a line.
func DemoPaths() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %-22s %s\n", "/rheo", "accepts; any other name does as well")
	for _, one := range All() {
		fmt.Fprintf(&b, "  %-22s %s\n", "/rheo/"+one.Name, one.Does)
	}
	return b.String()
}

// describe puts an arrival into a few lines: what was asked and what the receiver does, the headers that are the sender's
// own, and the beginning of the body.
func describe(a *Arrival, b Behavior) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s  received %s %s, attempt %d: %s", a.At.Format("15:04:05.000"), a.Method, a.Path, a.Number, b.Does)
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if !usual[name] {
			fmt.Fprintf(&text, "\n    %s: %s", name, Shorten(strings.Join(a.Header[name], ", "), 100))
		}
	}
	fmt.Fprintf(&text, "\n    %s", Shorten(string(a.Body), 400))
	return text.String()
}

// usual headers are in every request and tell nothing.
var usual = map[string]bool{"Content-Length": true, "Content-Type": true, "Accept-Encoding": true, "User-Agent": true, "Connection": true}

// Shorten cuts a text to a number of characters, and says how many more there are.
func Shorten(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d more)", string(runes[:limit]), len(runes)-limit)
}
