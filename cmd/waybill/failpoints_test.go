package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestFailpoints_NthPass(t *testing.T) {
	t.Parallel()
	deaths := 0
	pass, _, err := parseFailpoints("after-commit=kill:3, before-reply=kill", func() { deaths++ })
	require.NoError(t, err)
	for range 2 {
		pass("after-commit")
		pass("before-commit")
	}
	require.Zero(t, deaths)
	pass("after-commit")
	require.Equal(t, 1, deaths)
	pass("before-reply")
	require.Equal(t, 2, deaths)
}

// A panic happens once: the next pass goes through.
func TestFailpoints_Panic(t *testing.T) {
	t.Parallel()
	pass, _, err := parseFailpoints("before-post=panic:2", func() {})
	require.NoError(t, err)
	pass("before-post")
	require.PanicsWithValue(t, "the failpoint before-post panics", func() { pass("before-post") })
	pass("before-post")
}

func TestFailpoints_Refused(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"nowhere=kill":                        `the place "nowhere"`,
		"after-commit":                        "kill, hang or panic",
		"after-commit=stop":                   "kill, hang or panic",
		"after-commit=kill:0":                 "a number from 1",
		"after-commit=kill:x":                 "a number from 1",
		"after-commit=kill,":                  `the place ""`,
		"after-commit=kill,after-commit=hang": "twice",
		"clock=soon":                          "such as +1h",
		"clock=0s":                            "such as +1h",
	} {
		_, err := parse(nil, good("WAYBILL_FAILPOINTS="+text))
		require.ErrorContains(t, err, "WAYBILL_FAILPOINTS", text)
		require.ErrorContains(t, err, says, text)
	}
	s, err := parse(nil, good())
	require.NoError(t, err)
	require.Nil(t, s.failpoint)
	require.Nil(t, s.clock.now)
	require.Nil(t, s.clock.newUUID)
}

// A wrong clock is in what is stamped and in the ids, in both directions.
func TestFailpoints_Clock(t *testing.T) {
	t.Parallel()
	for text, skew := range map[string]time.Duration{"clock=+1h": time.Hour, "clock=-1h,after-commit=kill": -time.Hour} {
		s, err := parse(nil, good("WAYBILL_FAILPOINTS="+text))
		require.NoError(t, err, text)
		require.WithinDuration(t, time.Now().Add(skew), s.clock.now(), time.Minute, text)
		first, second := s.clock.newUUID(), s.clock.newUUID()
		require.Negative(t, bytes.Compare(first[:], second[:]), text)
		seconds, nanoseconds := uuid.UUID(first).Time().UnixTime()
		require.WithinDuration(t, time.Now().Add(skew), time.Unix(seconds, nanoseconds), time.Minute, text)
		require.EqualValues(t, 7, uuid.UUID(first).Version(), text)
	}
}
