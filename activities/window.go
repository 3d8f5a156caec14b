package activities

import (
	"net/http"
	"time"

	"waybill/webhook"
)

// Sizes of a window, and the pauses of a queue whose receiver is in trouble even with one request at a time.
const (
	firstWindow       = 4
	firstTroublePause = 200 * time.Millisecond
	maxTroublePause   = 5 * time.Second
	// scheduledPause is what a receiver in trouble is spared by deliveries that are on their own schedule.
	scheduledPause = 200 * time.Millisecond
)

// window is how many attempts of an endpoint's queue may be in flight. It doubles while the receiver answers and halves while the
// receiver is in trouble, so that one that has just come back is not trampled.
type window struct {
	size, most int
	// answers counts the attempts since the last change of size that met no trouble.
	answers int
	// generation counts the halvings. An attempt that began before the latest does not halve again.
	generation int
	// troubles counts those in a row with one request at a time.
	troubles int
}

// newWindow returns the window of a drain: what the drain before ended with, within the limit.
func newWindow(size, most int) window {
	if size <= 0 {
		size = firstWindow
	}
	return window{size: min(size, most), most: most}
}

// take learns from an attempt that began in a generation. It returns how long the next attempt should wait.
func (w *window) take(generation int, made *webhook.AttemptSummary) time.Duration {
	if !isTrouble(made) {
		w.grow()
		return 0
	}
	if generation != w.generation {
		return 0
	}
	w.generation++
	w.answers = 0
	if w.size > 1 {
		w.size /= 2
		return 0
	}
	w.troubles++
	return min(firstTroublePause<<min(w.troubles-1, 10), maxTroublePause)
}

// takeScheduled learns from an attempt of a delivery on its own schedule, which is to be kept: trouble makes the window no smaller. It
// returns how long the next attempt should wait, so that a receiver in trouble gets some 160 attempts a second at most.
func (w *window) takeScheduled(made *webhook.AttemptSummary) time.Duration {
	w.grow()
	if isTrouble(made) {
		return scheduledPause
	}
	return 0
}

func (w *window) grow() {
	w.troubles = 0
	if w.answers++; w.answers >= w.size {
		w.size, w.answers = min(2*w.size, w.most), 0
	}
}

// isTrouble reports whether the receiver, or a gateway in front of it, has too much to do or is not there. Any other answer, such as
// 404, is a quick one that more requests do not make worse.
func isTrouble(made *webhook.AttemptSummary) bool {
	switch made.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return made.ErrorClass == webhook.ErrorTimeout || made.ErrorClass == webhook.ErrorConnect
}
