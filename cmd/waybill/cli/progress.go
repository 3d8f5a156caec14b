package cli

import (
	"fmt"
	"io"
	"time"
)

// progress tells how far something is: on a terminal in one line that changes, elsewhere in a line now and then.
type progress struct {
	out      io.Writer
	terminal bool
	// every is how often a line is written.
	every time.Duration
	last  time.Time
	said  string
}

// How often a line is written, on a terminal and elsewhere.
const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 5 * time.Second
)

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, terminal: isTerminal(out), every: lineEvery}
	if p.terminal {
		p.every = redrawEvery
	}
	return p
}

// show tells how far it is, unless it did so just now.
func (p *progress) show(text string) {
	if text == p.said || time.Since(p.last) < p.every {
		return
	}
	p.last, p.said = time.Now(), text
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// end makes room for another line on a terminal.
func (p *progress) end() {
	if p.terminal && p.said != "" {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	p.said = ""
}
