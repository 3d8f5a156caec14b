package webhook

import "math"

// MaxDurationBucket is the last bucket of durations, which has no upper bound.
const MaxDurationBucket = 34

// DurationBucket returns the bucket of a duration in ms: bucket n ends at 2^(n/2) - 1 ms, so that a bucket is 1.4 times as wide as
// the one before.
func DurationBucket(ms int64) int {
	return min(int(math.Ceil(2*math.Log2(float64(max(ms, 0))+1))), MaxDurationBucket)
}

// DurationBound returns where a bucket ends, in ms.
func DurationBound(bucket int) float64 { return math.Exp2(float64(bucket)/2) - 1 }
