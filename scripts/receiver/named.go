package receiver

import (
	"net/http"
	"time"
)

// Named is a behavior with a name.
type Named struct {
	Name string
	// Does says in words what it does.
	Does   string
	Answer Answer
}

// All lists the behaviors that a receiver has whatever it speaks, the well-mannered first. GoAway and RefuseStream need
// one that speaks frames.
func All() []Named {
	return []Named{
		{"flaky", "answers 500 twice for each webhook and then accepts it", FailFirst(2, http.StatusInternalServerError)},
		{"down", "always answers 503", Always(Status(http.StatusServiceUnavailable))},
		{"gone", "always answers 410", Always(Status(http.StatusGone))},
		always("slow", Slow(3*time.Second)),
		{"redirect", "answers 302 with another place", Always(Redirect("/"))},
		always("hang", Hang),
		always("close", Close),
		{"close-reused", "accepts the first request of a connection and closes it when another comes", CloseReused},
		always("reset", Reset),
		always("drip", Drip),
		always("half-close", HalfClose),
		always("1xx", Informational),
		always("huge", BigBody(16<<20)),
		always("gzip-bomb", GzipBomb),
	}
}

func always(name string, b Behavior) Named { return Named{name, b.Does, Always(b)} }
