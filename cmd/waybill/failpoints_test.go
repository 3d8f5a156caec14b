package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFailpoints_NthPass(t *testing.T) {
	t.Parallel()
	deaths := 0
	pass, err := parseFailpoints("after-commit=kill:3, before-reply=kill", func() { deaths++ })
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

func TestFailpoints_Refused(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"nowhere=kill":                        `the place "nowhere"`,
		"after-commit":                        "kill or hang",
		"after-commit=panic":                  "kill or hang",
		"after-commit=kill:0":                 "a number from 1",
		"after-commit=kill:x":                 "a number from 1",
		"after-commit=kill,":                  `the place ""`,
		"after-commit=kill,after-commit=hang": "twice",
	} {
		_, err := parse(nil, good("WAYBILL_FAILPOINTS="+text))
		require.ErrorContains(t, err, "WAYBILL_FAILPOINTS", text)
		require.ErrorContains(t, err, says, text)
	}
	s, err := parse(nil, good())
	require.NoError(t, err)
	require.Nil(t, s.failpoint)
}
