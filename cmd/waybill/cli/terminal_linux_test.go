package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a terminal: the person's and the program's.
func openTerminal(t *testing.T) (person, program *os.File) {
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = person.Close() })
	fd := int(person.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

func echoes(t *testing.T, terminal *os.File) bool {
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return state.Lflag&unix.ECHO != 0
}

// A key that is asked for is not shown, and whoever interrupts the question gets back a terminal that shows what is written.
func TestProfiles_AskOnATerminal(t *testing.T) {
	t.Parallel()
	_, program := openTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		_, err := Env{In: program, Err: &said}.newKey(ctx, "")
		ended <- err
	}()
	require.Eventually(t, func() bool { return !echoes(t, program) }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, errInterrupted)
	require.True(t, echoes(t, program))

	person, program := openTerminal(t)
	go func() {
		key, err := Env{In: program, Err: &said}.newKey(t.Context(), "")
		if err == nil && key != "hush-hush" {
			err = fmt.Errorf("it read %q", key)
		}
		ended <- err
	}()
	require.Eventually(t, func() bool { return !echoes(t, program) }, 10*time.Second, time.Millisecond)
	_, err := person.WriteString("hush-hush\n")
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.Contains(t, said.String(), "API key: ")
}
