package dashboard

import (
	"fmt"
	"strings"
	"time"
)

// statsSpans are the spans of a window of statistics, one after the other.
type statsSpans []struct {
	At        time.Time `json:"at"`
	Delivered int64     `json:"delivered"`
	Failed    int64     `json:"failed"`
}

// Sizes of a sparkline's drawing, in units of its view box.
const (
	sparkWidth  = 120
	sparkHeight = 28
)

// spark is a drawing of how many attempts each span had: bars of what was delivered, with what failed on top.
type spark struct {
	Delivered, Failed string // paths of an SVG
	// Text says the same to whoever does not see the drawing.
	Text string
}

// Spark draws the spans; nil: nothing was attempted.
func (s statsSpans) Spark() *spark {
	var most, delivered, failed int64
	for _, span := range s {
		most = max(most, span.Delivered+span.Failed)
		delivered += span.Delivered
		failed += span.Failed
	}
	if most == 0 {
		return nil
	}
	var good, bad strings.Builder
	width := float64(sparkWidth) / float64(len(s))
	for i, span := range s {
		height := func(n int64) float64 {
			if n == 0 {
				return 0
			}
			return max(float64(n)/float64(most)*sparkHeight, 1.5) // what happened once is seen too
		}
		g, b := height(span.Delivered), height(span.Failed)
		bar(&good, float64(i)*width, sparkHeight-g, width-1, g)
		bar(&bad, float64(i)*width, max(sparkHeight-g-b, 0), width-1, b)
	}
	return &spark{good.String(), bad.String(), fmt.Sprintf("%s attempts delivered and %s failed", count(delivered), count(failed))}
}

func bar(path *strings.Builder, x, y, width, height float64) {
	if height > 0 {
		fmt.Fprintf(path, "M%.1f %.1fh%.1fv%.1fh-%.1fz", x, y, width, height, width)
	}
}
