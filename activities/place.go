package activities

// widePlaces is how many attempts of wide events work at the same time in this process. Those whose request is under way do not count.
// More of them would hardly be faster, and the attempts of other events would wait for the processor.
const widePlaces = 16

// place bounds how many work at the same time, by its capacity. A nil place bounds nothing.
type place chan struct{}

func (p place) take() {
	if p != nil {
		p <- struct{}{}
	}
}

func (p place) leave() {
	if p != nil {
		<-p
	}
}

// without calls f, and leaves the place to another meanwhile.
func (p place) without(f func()) {
	p.leave()
	defer p.take()
	f()
}

// placeOf returns where an attempt works; nil: it need not wait for others.
func (a *Activities) placeOf(in *AttemptInput) place {
	if in.Wide && in.Lane == LaneFast {
		return a.wide
	}
	return nil
}
