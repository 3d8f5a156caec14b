package stack

import (
	"fmt"
	"io"
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
