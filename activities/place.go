package activities

// Attempts of wide events work a few at the same time in this process: wideBegins before their requests, and wideEnds after. Those
// whose request is under way do not count. More of them would hardly be faster, and the attempts of other events would wait for the
// processor. What was answered does not wait for what has not begun, because a process that dies would have it made again.
const (
	wideBegins = 8
	wideEnds   = 8
)

// place bounds how many attempts work at the same time, by its capacity.
type place chan struct{}

// waits reports whether an attempt takes turns with others.
func (in *AttemptInput) waits() bool { return in.Wide && in.Lane == LaneFast }

// work waits for its turn to work at a place; rest ends it, as does leave.
func (s *slot) work(at place) {
	at <- struct{}{}
	s.place = at
}

func (s *slot) rest() {
	if s.place != nil {
		<-s.place
		s.place = nil
	}
}
