package stack

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progressEvery is how long a step stays silent before it says that it is still at work.
const progressEvery = 10 * time.Second

// Printer writes whole lines from several goroutines.
type Printer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewPrinter returns a Printer that writes to w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: w} }

// Colors reports whether the reader is a terminal that shows colors. NO_COLOR turns them off, as no-color.org says.
func (p *Printer) Colors() bool {
	f, is := p.w.(*os.File)
	if !is || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Say prints one line.
func (p *Printer) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A closed terminal must not prevent an orderly shutdown.
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
}

// During runs a step that may take long and keeps saying so while it does.
func (p *Printer) During(what string, step func() error) error {
	p.Say("%s...", what)
	began := time.Now()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				p.Say("%s... %d s", what, int(time.Since(began).Seconds()))
			case <-done:
				return
			}
		}
	})
	err := step()
	close(done)
	wg.Wait()
	return err
}
