package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The judge of rotations sees a secret that goes on after its end, one that signs no more too early, and a new one that does not sign.
func TestRotation_judge(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	minute := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	o := &rotation{asked: minute(1), answered: minute(2), ending: minute(5), ended: minute(6)}
	for _, tc := range []struct {
		at    time.Time
		by    []int
		wrong string
	}{
		{minute(0), []int{0}, ""},
		{minute(1), []int{0}, ""},
		{minute(1), []int{0, 1}, ""},
		{minute(2).Add(rotationHolds), []int{0}, ""}, // it was on its way
		{minute(3), []int{0}, "and not by 1, which is in force"},
		{minute(3), []int{1}, "and not by 0, whose overlap goes on"},
		{minute(3), []int{0, 1}, ""},
		{minute(5), []int{1}, ""},
		{minute(6), []int{0, 1}, ""},
		{minute(7), []int{0, 1}, "of which 0 has ended"},
		{minute(7), []int{1}, ""},
		{minute(7), []int{1, 2}, ""},
		{minute(7), []int{2}, ""},
	} {
		require.Equal(t, tc.wrong, o.judge(1, &arrival{At: tc.at, By: tc.by}), "%s %v", tc.at, tc.by)
	}
	open := &rotation{asked: minute(1), answered: minute(2)}
	require.NotEmpty(t, open.judge(1, &arrival{At: minute(9), By: []int{1}}), "nobody has ended it")
}
