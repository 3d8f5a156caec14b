package webhook

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration that is text such as "10s" or "1h30m" in JSON.
type Duration time.Duration

// Std returns the time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the shortest usual form: "30s", "5m", "2h".
func (d Duration) String() string {
	std := time.Duration(d)
	switch {
	case std != 0 && std%time.Hour == 0:
		return fmt.Sprintf("%dh", std/time.Hour)
	case std != 0 && std%time.Minute == 0:
		return fmt.Sprintf("%dm", std/time.Minute)
	default:
		return std.String()
	}
}

// MarshalText writes the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON reads a string that time.ParseDuration accepts. The error completes a sentence that begins with the field.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf(`is a duration, text such as "10s", not %s`, b)
	}
	std, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf(`is a duration such as "10s" or "1h30m", not %q`, s)
	}
	*d = Duration(std)
	return nil
}
