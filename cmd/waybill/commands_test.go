package main

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A call that is wrong ends with 2, says what to write instead on the standard error, and begins nothing.
func TestRun_WrongCalls(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    []string
		environ []string
		says    string
	}{
		"no command":           {nil, nil, "Usage: waybill <command>"},
		"a misspelled command": {[]string{"serv"}, nil, `there is no command "serv", did you mean serve?`},
		"no such command":      {[]string{"rotate-the-tires"}, nil, `there is no command "rotate-the-tires"` + "\n"},
		"help about none":      {[]string{"help", "migrat"}, nil, `there is no command "migrat", did you mean migrate?`},
		"an argument":          {[]string{"serve", "now"}, nil, `unexpected argument "now": settings are flags`},
		"a URL":                {[]string{"migrate", "postgres://u:hush-hush@127.0.0.1/w"}, nil, `unexpected argument "postgres://u:xxxxx@127.0.0.1/w"`},
		"a misspelled flag":    {[]string{"serve", "--lisen=x"}, nil, "there is no flag --lisen, did you mean --listen?\nSee: waybill serve --help\n"},
		"one dash":             {[]string{"serve", "-listen=127.0.0.1:1"}, nil, "-listen has one dash: write --listen\n"},
		"one dash, retention":  {[]string{"retention", "-dry-run"}, good(), "-dry-run has one dash: write --dry-run\n"},
		"one dash, and help":   {[]string{"serve", "-help"}, nil, "-help has one dash: write --help\n"},
		"one dash, misspelled": {[]string{"serve", "-lisen=x"}, nil, "flags with more than one letter have two dashes"},
		"a flag of no value":   {[]string{"serve", "--listen"}, nil, "--listen needs a value"},
		"a wrong setting":      {[]string{"serve", "--log-level=loud"}, good(), `WAYBILL_LOG_LEVEL is debug, info, warn or error, not "loud"`},
		"an unknown variable":  {[]string{"migrate"}, good("WAYBILL_LISTN=x"), "WAYBILL_LISTN is not a setting"},
		"no settings at all":   {[]string{"worker"}, nil, "WAYBILL_DATABASE_URL is required"},
	} {
		code, out, messages := called(t, c.environ, c.args...)
		require.Equal(t, 2, code, name)
		require.Empty(t, out, name)
		require.Contains(t, messages, c.says, name)
	}
}

// What fails although it was called well ends with 1.
func TestRun_Fails(t *testing.T) {
	t.Parallel()
	code, out, messages := called(t, []string{"WAYBILL_DATABASE_URL=postgres://127.0.0.1:9/w?connect_timeout=1"}, "migrate")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, messages, "waybill: ")
	require.NotContains(t, messages, "See: waybill")
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// A command whose answer cannot be written has failed.
func TestRun_FullDisk(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"config"}, {"version"}, {"--version"}, {"help"}, {"serve", "--help"}} {
		messages := &bytes.Buffer{}
		code := run(t.Context(), invocation{args: args, environ: good(), in: strings.NewReader(""), out: fullDisk{}, err: messages})
		require.Equal(t, 1, code, args)
		require.Contains(t, messages.String(), "no space left on device", args)
	}
}

func TestRun_Help(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		code, out, messages := called(t, nil, args...)
		require.Zero(t, code)
		require.Empty(t, messages)
		for _, command := range []string{"serve", "api", "worker", "migrate", "reseal", "retention"} {
			require.Contains(t, out, "\n  "+command+" ")
		}
	}
}
