package main

import (
	"fmt"
	"time"
)

// kind is something that a process holds, and how much more of it at the end of a soak is no leak: a share of the mean, for
// the noise of what comes and goes with the load, and a constant, for what is so little that a few more are a large share.
type kind struct {
	name  string
	share float64
	plus  float64
}

// The kinds. A leak of one thing for each of the soak's thousands of attempts exceeds every limit many times over; one for
// each hundredth still exceeds those of goroutines, files and connections. Memory has the widest: the runtime gives pages
// back when it likes, and the closest look at what is in use is after each collection.
var (
	resident    = kind{"resident MiB", 0.15, 4}
	heap        = kind{"heap MiB after collection", 0.15, 2}
	goroutines  = kind{"goroutines", 0.10, 20}
	openFiles   = kind{"open files", 0.10, 5}
	connections = kind{"connections", 0.10, 5}
	backends    = kind{"Postgres backends", 0.10, 3}
	// unsettled tells whether the load was steady at all: where the machine does not keep up, the other kinds grow with it.
	unsettled = kind{"unsettled deliveries", 0.10, 30}
)

// series is what one holder had of a kind, over time.
type series struct {
	holder string
	kind   kind
	at     []time.Duration // since the beginning
	values []float64
}

func (s *series) add(at time.Duration, value float64) {
	s.at, s.values = append(s.at, at), append(s.values, value)
}

// trend is the line that fits a series best, and its figures, all without the warm-up.
type trend struct {
	*series
	samples           int
	start, end        float64 // on the line
	least, most, mean float64 // of the samples
	perMinute, growth float64
}

// trend fits a line by least squares. A series of fewer than three samples after the warm-up has none, and fails.
func (s *series) trend(warm time.Duration) *trend {
	first := 0
	for first < len(s.at) && s.at[first] < warm {
		first++
	}
	at, values := s.at[first:], s.values[first:]
	t := &trend{series: s, samples: len(at)}
	if len(at) < 3 {
		return t
	}
	var sumX, sumY, sumXX, sumXY float64
	t.least, t.most = values[0], values[0]
	for i, y := range values {
		x := at[i].Minutes()
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
		t.least, t.most = min(t.least, y), max(t.most, y)
	}
	n := float64(len(at))
	t.mean = sumY / n
	t.perMinute = (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
	t.start = t.mean + t.perMinute*(at[0].Minutes()-sumX/n)
	t.end = t.mean + t.perMinute*(at[len(at)-1].Minutes()-sumX/n)
	t.growth = t.end - t.start
	return t
}

// limit is the growth that is taken for noise.
func (t *trend) limit() float64 { return t.kind.share*t.mean + t.kind.plus }

func (t *trend) grew() bool { return t.samples < 3 || t.growth > t.limit() }

// trendHeader begins the table of docs/guarantees.md, of which line is a row.
const trendHeader = `| of | | samples | start | end | least | most | per minute | growth | limit |
|---|---|---|---|---|---|---|---|---|---|`

func (t *trend) line() string {
	return fmt.Sprintf("| %s | %s | %d | %.1f | %.1f | %.1f | %.1f | %+.2f | %+.1f | %.1f |",
		t.holder, t.kind.name, t.samples, t.start, t.end, t.least, t.most, t.perMinute, t.growth, t.limit())
}
