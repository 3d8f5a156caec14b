package dashboard

import "sync"

const (
	// maxStreams is how many live tails one process serves at a time.
	maxStreams = 200
	// maxSessionStreams is how many of them one session has. Browsers give a site six connections, and pages need some too.
	maxSessionStreams = 4
)

// streams counts the live tails that are open, and ends them with the process.
type streams struct {
	mu        sync.Mutex
	open      int
	bySession map[string]int
	end       sync.Once
	ended     chan struct{}
}

func newStreams() *streams {
	return &streams{bySession: map[string]int{}, ended: make(chan struct{})}
}

// enter reports whether a session may have one more.
func (s *streams) enter(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= maxStreams || s.bySession[session] >= maxSessionStreams {
		return false
	}
	s.open++
	s.bySession[session]++
	return true
}

func (s *streams) leave(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.bySession[session]--; s.bySession[session] == 0 {
		delete(s.bySession, session)
	}
}

// EndStreams ends the live tails, so that a server that stops does not wait for them. Browsers come back by themselves.
func (d *Dashboard) EndStreams() { d.streams.end.Do(func() { close(d.streams.ended) }) }
