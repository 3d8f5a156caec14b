package webhook

import (
	"math"
	"time"
)

// MaxDurationBucket is the last bucket of durations, which has no upper bound.
const MaxDurationBucket = 34

// DurationBucket returns the bucket of a duration in ms: bucket n ends at 2^(n/2) - 1 ms, so that a bucket is 1.4 times as wide as
// the one before.
func DurationBucket(ms int64) int {
	return min(int(math.Ceil(2*math.Log2(float64(max(ms, 0))+1))), MaxDurationBucket)
}

// DurationBound returns where a bucket ends, in ms.
func DurationBound(bucket int) float64 { return math.Exp2(float64(bucket)/2) - 1 }

// DurationCounts counts durations by DurationBucket.
type DurationCounts [MaxDurationBucket + 1]int64

// Percentile returns the duration in ms that the share p, from 0 to 1, does not exceed. Within a bucket the durations are taken to
// be spread evenly. ok is false when nothing was counted.
func (c *DurationCounts) Percentile(p float64) (ms int64, ok bool) {
	var total int64
	for _, n := range c {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	rank, before := p*float64(total), int64(0)
	for bucket, n := range c {
		if n > 0 && float64(before+n) >= rank {
			from := 0.0
			if bucket > 0 {
				from = DurationBound(bucket - 1)
			}
			share := max(rank-float64(before), 0) / float64(n)
			return int64(math.Round(from + share*(DurationBound(bucket)-from))), true
		}
		before += n
	}
	return int64(DurationBound(MaxDurationBucket)), true
}

// StatsWindow is a span of time that ends now, divided into spans that begin at whole multiples of Span in UTC.
type StatsWindow struct {
	Name  string
	Span  time.Duration
	Spans int
}

// StatsWindows lists the windows that statistics are shown of. The last span is the present one, which is not over yet.
var StatsWindows = []StatsWindow{
	{"1h", 5 * time.Minute, 12}, {"24h", time.Hour, 24}, {"7d", 6 * time.Hour, 28},
}

// Since returns when the window begins.
func (w StatsWindow) Since(now time.Time) time.Time {
	return now.UTC().Truncate(w.Span).Add(-time.Duration(w.Spans-1) * w.Span)
}
