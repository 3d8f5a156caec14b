package main

import (
	"fmt"
	"slices"

	"waybill/scripts/receiver"
)

// behavior is what an endpoint does and how Waybill must react.
type behavior struct {
	name string
	// schedule, timeout and headers are the endpoint's settings.
	schedule []string
	timeout  string
	headers  map[string]string
	// autoDisable is the endpoint's rule; nil: the dialect's.
	autoDisable map[string]any
	// answer says how the nth arrival of an event is answered.
	answer func(event string, number int) receiver.Behavior
	// reused, unless nil, is done in place of the answer on a connection that was used before.
	reused *receiver.Behavior
	// apart gives the endpoint a host of its own, and so connections of its own; frames besides a receiver that speaks
	// HTTP/2 frame by frame.
	apart, frames bool
	// settles are the statuses that a delivery may end in.
	settles []string
	// reopened says that deliveries are sent again once they have settled, so that there are more attempts than the policy has.
	reopened bool
}

// patient is a schedule that outlasts every outage of the suite.
var patient = []string{"1s", "1s", "2s", "4s", "8s", "15s", "30s", "30s", "30s"}

func always(b receiver.Behavior) func(string, int) receiver.Behavior {
	return func(string, int) receiver.Behavior { return b }
}

// healthy answers 200; flaky refuses the first two arrivals of every third event; dead refuses all and is to be tried
// three times; switched is healthy and disabled along the way; stubborn refuses all until it is disabled.
var (
	healthy  = behavior{name: "healthy", schedule: patient, answer: always(receiver.Accept), settles: []string{"delivered"}}
	switched = behavior{name: "switched", schedule: patient, answer: always(receiver.Accept), settles: []string{"delivered", "held"}}
	stubborn = behavior{name: "stubborn", schedule: patient, answer: always(receiver.Status(503)), settles: []string{"held"}}
	flaky    = behavior{name: "flaky", schedule: patient, settles: []string{"delivered"}, answer: func(event string, number int) receiver.Behavior {
		if event[len(event)-1]%3 == 0 && number <= 2 {
			return receiver.Status(503)
		}
		return receiver.Accept
	}}
	dead = behavior{name: "dead", schedule: []string{"1s", "1s"}, answer: always(receiver.Status(500)), settles: []string{"exhausted"}}
)

// usual are the endpoints of most scenarios.
var usual = []behavior{healthy, flaky, dead}

// widePerSecond keeps events to so many endpoints from filling the machine.
const widePerSecond = 5

// many are the usual endpoints, and healthy ones up to n.
func many(n int) []behavior {
	all := slices.Clone(usual)
	for len(all) < n {
		one := healthy
		one.name = fmt.Sprintf("healthy-%d", len(all))
		all = append(all, one)
	}
	return all
}

// hostile are misbehaving receivers.
var hostile = []behavior{
	hostileOne("hang", receiver.Hang),
	hostileOne("reset", receiver.Reset),
	hostileOne("close", receiver.Close),
	hostileOne("drip", receiver.Drip),
	hostileOne("half-close", receiver.HalfClose),
	hostileOne("1xx", receiver.Informational),
	hostileOne("redirect", receiver.Redirect("/healthy")),
	hostileOne("huge", receiver.BigBody(16<<20)),
	hostileOne("gzip-bomb", receiver.GzipBomb),
}

// hostileOne is tried twice, two seconds each at most. Those that say 200 in the end may count as delivered.
func hostileOne(name string, b receiver.Behavior) behavior {
	settles := []string{"exhausted"}
	if b.Status == 200 {
		settles = []string{"delivered"}
	}
	return behavior{name: name, schedule: []string{"1s"}, timeout: "2s", answer: always(b), settles: settles}
}
