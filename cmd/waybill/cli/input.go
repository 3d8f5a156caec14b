package cli

import (
	"context"
	"errors"
	"io"
)

// errInterrupted ends a command that whoever called it interrupted.
var errInterrupted = errors.New("interrupted")

// interruptibleRead is the most that is read at once.
const interruptibleRead = 64 << 10

// interruptible returns a reader of in that fails once the context is done, also while it waits for a person or a pipe. A read that
// waits is left behind then, because nothing can end it but the end of the process.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	return &interruptibleReader{ctx: ctx, in: in}
}

type interruptibleReader struct {
	ctx    context.Context
	in     io.Reader
	buffer []byte
}

// Read reads from in.
func (r *interruptibleReader) Read(p []byte) (int, error) {
	if r.buffer == nil {
		r.buffer = make([]byte, interruptibleRead)
	}
	type part struct {
		n   int
		err error
	}
	read, buffer := make(chan part, 1), r.buffer[:min(len(p), len(r.buffer))]
	go func() {
		n, err := r.in.Read(buffer)
		read <- part{n, err}
	}()
	select {
	case got := <-read:
		return copy(p, buffer[:got.n]), got.err
	case <-r.ctx.Done():
		r.buffer = nil // the read that waits may still write into it
		return 0, errInterrupted
	}
}
