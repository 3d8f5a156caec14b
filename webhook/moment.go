package webhook

import (
	"errors"
	"regexp"
	"strings"
	"time"
)

// momentPattern is the grammar of RFC 3339, section 5.6, including lower case letters. time.Parse is laxer in some cases
// and stricter in others.
var momentPattern = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$`)

var errMoment = errors.New(`is a moment in RFC 3339 such as "2026-05-27T14:32:00Z"`)

// ParseMoment reads a time in RFC 3339. A leap second, second 60 at the end of a UTC day, becomes the first second of the
// next day.
func ParseMoment(text string) (time.Time, error) {
	if !momentPattern.MatchString(text) {
		return time.Time{}, errMoment
	}
	text = strings.ToUpper(text)
	const second = len("2026-05-27T14:32:")
	leap := text[second:second+2] == "60"
	if leap {
		text = text[:second] + "59" + text[second+2:]
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errMoment
	}
	if !leap {
		return at, nil
	}
	if utc := at.UTC(); utc.Hour() != 23 || utc.Minute() != 59 {
		return time.Time{}, errMoment
	}
	return at.Add(time.Second), nil
}
