package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// failpointNames are the places that failpoints can be set at, in the order of an event's way.
var failpointNames = []string{
	"before-commit", "after-commit", "before-reply", "after-claim", "after-start", "before-post", "after-response", "after-record", "short-delay",
	"express-after-post", "before-auto-disable", "after-disable", "after-create", "after-mail", "after-reseal",
}

// failpoint is the action at one place. It happens at every pass from the nth on, or only at the nth pass if it must happen
// once.
type failpoint struct {
	nth    int64
	once   bool
	passes atomic.Int64
	act    func()
}

func (p *failpoint) pass() {
	if n := p.passes.Add(1); n == p.nth || n > p.nth && !p.once {
		p.act()
	}
}

// clockPoint is the name that sets the clock instead of a failpoint: "clock=+1h".
const clockPoint = "clock"

// parseFailpoints reads "name=action:n,...": at the nth pass (1 when left out) of the place, "kill" calls die, "hang"
// blocks the goroutines that pass, and "panic" panics once. "clock=+1h" is not a place: skew is how far ahead the clock of
// the process must be. An empty text means no failpoint, and returns nil and 0.
func parseFailpoints(text string, die func()) (pass func(name string), skew time.Duration, err error) {
	if text == "" {
		return nil, 0, nil
	}
	points := map[string]*failpoint{}
	for entry := range strings.SplitSeq(text, ",") {
		name, action, _ := strings.Cut(strings.TrimSpace(entry), "=")
		if name == clockPoint {
			if skew, err = time.ParseDuration(action); err != nil || skew == 0 {
				return nil, 0, fmt.Errorf("has for %s %q: it is how far to be ahead or behind, such as +1h or -90s", name, action)
			}
			continue
		}
		if !slices.Contains(failpointNames, name) {
			return nil, 0, fmt.Errorf("names the place %q; there are %s", name, strings.Join(failpointNames, ", "))
		}
		if points[name] != nil {
			return nil, 0, fmt.Errorf("names the place %q twice", name)
		}
		p, err := parseFailpoint(name, action, die)
		if err != nil {
			return nil, 0, fmt.Errorf("has for %s the action %q: %w", name, action, err)
		}
		points[name] = p
	}
	pass = func(name string) {
		if p := points[name]; p != nil {
			p.pass()
		}
	}
	return pass, skew, nil
}

func parseFailpoint(name, text string, die func()) (*failpoint, error) {
	action, count, counted := strings.Cut(text, ":")
	p := &failpoint{nth: 1}
	if counted {
		var err error
		if p.nth, err = strconv.ParseInt(count, 10, 32); err != nil || p.nth < 1 {
			return nil, errors.New("the pass is a number from 1")
		}
	}
	switch action {
	case "kill":
		p.act = die
	case "hang":
		p.act = hang
	case "panic":
		p.once, p.act = true, func() { panic("the failpoint " + name + " panics") }
	default:
		return nil, errors.New("an action is kill, hang or panic, such as kill:3")
	}
	return p, nil
}

// dieHere kills this process with SIGKILL and does not return.
func dieHere() {
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL) // a process can always signal itself
	hang()
}

func hang() { select {} }
