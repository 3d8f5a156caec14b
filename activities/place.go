package activities

// widePlaces is how many attempts of wide events work at the same time in this process. Those whose request is under way do not count.
// More of them would hardly be faster, and the attempts of other events would wait for the processor.
const widePlaces = 16

// place bounds how many attempts work at the same time, by its capacity.
type place chan struct{}

// placeOf returns where an attempt works; nil: it need not wait for others.
func (a *Activities) placeOf(in *AttemptInput) place {
	if in.Wide && in.Lane == LaneFast {
		return a.wide
	}
	return nil
}

// work waits for its turn to work; rest ends it, as does leave.
func (s *slot) work() {
	if s.place != nil {
		s.place <- struct{}{}
		s.working = true
	}
}

func (s *slot) rest() {
	if s.working {
		<-s.place
		s.working = false
	}
}
