package dashboard

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// windows are those that the API has, with their lengths.
var windows = map[string]time.Duration{"1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour}

// defaultWindow is what a page shows unless the person chooses.
const defaultWindow = "24h"

// window is the one that the person chose.
func (c *call) window() string {
	if chosen := c.Query("window"); windows[chosen] > 0 {
		return chosen
	}
	return defaultWindow
}

// overview is what one looks at first.
type overview struct {
	Window string
	// Stats is nil for a session that sees some of the endpoints only.
	Stats *endpointStats
	// Trouble are the endpoints that somebody should look at, and Failed the latest deliveries that failed.
	Trouble []endpoint
	// MoreTrouble says that there are more of the former than a page names.
	MoreTrouble bool
	Failed      []*logRow
	// Any says that there is an endpoint.
	Any bool
	// Instance is for operators.
	Instance *instance
}

// PerMinute is how many deliveries were delivered in a minute of the window.
func (o *overview) PerMinute() string {
	n := float64(o.Stats.Deliveries.Delivered) / windows[o.Window].Minutes()
	switch {
	case n >= 10:
		return count(int64(n))
	case n > 0 && n < 0.1:
		return "less than 0.1"
	default:
		return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0")
	}
}

// Windows are those to choose from.
func (o *overview) Windows() []string { return []string{"1h", "24h", "7d"} }

// maxTrouble is how many endpoints and deliveries the overview names.
const maxTrouble = "10"

// showOverview is GET /tenants/{tenant}.
func showOverview(c *call) error {
	o := overview{Window: c.window()}
	if !c.Filtered() {
		o.Stats = &endpointStats{}
		if err := c.get(c.path("stats"), url.Values{"window": {o.Window}}, o.Stats); err != nil {
			return err
		}
	}
	var trouble list[endpoint]
	if err := c.get(c.path("endpoints"), url.Values{"trouble": {"true"}, "limit": {maxTrouble}}, &trouble); err != nil {
		return err
	}
	failed, _, err := c.readLog(url.Values{"status": {"exhausted,retrying,held"}, "test": {"false"}, "limit": {maxTrouble}}, endpointNames{})
	if err != nil {
		return err
	}
	o.Trouble, o.MoreTrouble, o.Failed, o.Any = trouble.Data, trouble.NextCursor != "", failed, len(trouble.Data) > 0
	if !o.Any {
		var first list[endpoint]
		if err := c.get(c.path("endpoints"), url.Values{"limit": {"1"}}, &first); err != nil {
			return err
		}
		o.Any = len(first.Data) > 0
	}
	if c.Operator() {
		o.Instance = &instance{}
		if err := c.get("/v1/status", nil, o.Instance); err != nil {
			return err
		}
	}
	return c.show("overview", view{Title: "Overview", Section: "overview", Styles: []string{"uplot.min.css"}, Scripts: []string{"uplot.min.js", "chart.js"}, Data: &o})
}
