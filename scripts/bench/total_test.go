package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReport_Total(t *testing.T) {
	t.Parallel()
	one, two := newSink(accepts), newSink(fails(1))
	first, second := eventID{1}, eventID{2}
	s := &sent{events: []published{{event: first}, {event: second}}}
	for _, arrival := range []struct {
		sink  *sink
		event eventID
	}{{one, first}, {one, first}, {one, first}, {one, second}, {two, first}, {two, second}, {two, second}, {one, eventID{9}}} {
		arrival.sink.note(arrival.event, time.Time{})
	}
	r := newReport(&options{})
	r.total(modeWorkflow, []played{{s, []*sink{one, two}}, {s, []*sink{one}}})
	r.total(modeExpress, nil)
	require.Equal(t, []total{{Mode: modeWorkflow, Deliveries: 6, Lost: 1, Duplicates: 4}, {Mode: modeExpress}}, r.Totals)
	require.Equal(t, 1, r.lost())
}
