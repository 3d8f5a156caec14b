package main

import "fmt"

// played is what was published and where it was to arrive.
type played struct {
	sent  *sent
	sinks []*sink
}

// total is what became of all deliveries of a mode: those of the warm-ups and of the noisy neighbor too, and seen again
// at the end, when what came late or twice has had time to.
type total struct {
	Mode       string `json:"mode"`
	Deliveries int    `json:"deliveries"`
	Lost       int    `json:"lost"`
	Duplicates int    `json:"duplicates"`
}

func (t total) String() string {
	return fmt.Sprintf("%-8s of %d deliveries, warm-ups included, %d never arrived; %d arrivals were duplicates", t.Mode, t.Deliveries, t.Lost, t.Duplicates)
}

func (r *report) total(mode string, all []played) {
	t := total{Mode: mode}
	for _, p := range all {
		for _, e := range p.sent.events {
			for _, s := range p.sinks {
				t.Deliveries++
				switch n := s.find(e.event).accepted; n {
				case 0:
					t.Lost++
				default:
					t.Duplicates += n - 1
				}
			}
		}
	}
	r.Totals = append(r.Totals, t)
}

// lost returns how many deliveries never arrived.
func (r *report) lost() int {
	sum := 0
	for _, t := range r.Totals {
		sum += t.Lost
	}
	return sum
}
