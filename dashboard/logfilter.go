package dashboard

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// timeRange is a span of time up to now, so that an address which was kept as a bookmark goes on showing the latest.
type timeRange struct {
	Name, Text string
	span       time.Duration
}

var timeRanges = []timeRange{
	{"15m", "Last 15 minutes", 15 * time.Minute},
	{"24h", "Last 24 hours", 24 * time.Hour},
	{"7d", "Last 7 days", 7 * 24 * time.Hour},
}

// filters are the parameters of the page's address without those that have no value, which browsers send for empty fields. What is
// given several times, such as a box for each status, becomes a list with commas.
func (c *call) filters() url.Values {
	given := url.Values{}
	for name, values := range c.r.URL.Query() {
		values = slices.DeleteFunc(slices.Clone(values), func(text string) bool { return strings.TrimSpace(text) == "" })
		if len(values) > 0 {
			given.Set(name, strings.TrimSpace(strings.Join(values, ",")))
		}
	}
	return given
}

// tidyAddress is this page's address without empty parameters; "" where it has none.
func (c *call) tidyAddress() string {
	given := c.filters()
	for name, values := range c.r.URL.Query() {
		if len(values) != 1 || values[0] != given.Get(name) {
			return strings.TrimSuffix(c.r.URL.EscapedPath()+"?"+given.Encode(), "?")
		}
	}
	return ""
}

// logQuery is what the API is asked for. A parameter that pages do not know goes there too: the API refuses it, because a misspelled
// filter must not select everything.
func (c *call) logQuery() url.Values {
	asked := c.filters()
	for _, name := range []string{"since", "until"} {
		if text := asked.Get(name); text != "" {
			asked.Set(name, asMoment(text))
		}
	}
	for _, r := range timeRanges {
		if asked.Get("range") != r.Name {
			continue
		}
		asked.Del("range")
		if asked.Get("since") == "" {
			asked.Set("since", c.now.Add(-r.span).Format(time.RFC3339))
		}
	}
	return asked
}

// What a field for date and time sends: no zone, and seconds only where they are not zero. Pages say that it is UTC.
const (
	fieldMinutes = "2006-01-02T15:04"
	fieldSeconds = "2006-01-02T15:04:05"
)

// asMoment writes a field for date and time as the API reads moments. Other texts stay as they are, for the API to judge.
func asMoment(text string) string {
	for _, layout := range []string{fieldMinutes, fieldSeconds} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return text
}

// asField writes a moment for a field for date and time; "" where it is none.
func asField(text string) string {
	at, err := time.Parse(time.RFC3339, asMoment(text))
	if err != nil {
		return ""
	}
	if at = at.UTC(); at.Second() == 0 {
		return at.Format(fieldMinutes)
	}
	return at.Format(fieldSeconds)
}
