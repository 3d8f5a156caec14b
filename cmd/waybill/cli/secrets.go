package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"waybill/client"
)

var secretColumns = []column[client.SigningSecret]{
	{"SECRET", false, func(s client.SigningSecret) string { return orNone(s.Secret) }},
	{"PUBLIC KEY", false, func(s client.SigningSecret) string { return orNone(s.PublicKey) }},
	{"FINGERPRINT", false, func(s client.SigningSecret) string { return s.Fingerprint }},
	{"PREVIOUS VALID UNTIL", false, func(s client.SigningSecret) string { return maybeAt(s.PreviousValidUntil) }},
	{"SWITCH AT", false, func(s client.SigningSecret) string { return maybeAt(s.SwitchAt) }},
}

func newRotate(open opener, e Env, a about, do func(call, *client.RotateSecret) (*client.SigningSecret, error)) *cobra.Command {
	var b *body
	var self *cobra.Command
	self = one(open, e, a, secretColumns, func(in call) (*client.SigningSecret, error) {
		var request client.RotateSecret
		if err := b.into(self, &request); err != nil {
			return nil, err
		}
		return do(in, &request)
	})
	b = addBody(e, self, false,
		field{"overlap", "overlap", aText, "how long the old secret signs too, such as 24h"},
		field{"switch-at", "switch_at", aText, "when a dialect with one signature switches, such as 2026-05-27T14:00:00Z"},
		field{"algorithm", "algorithm", aText, "another algorithm, where the dialect leaves the choice"},
	)
	return self
}

// upToMost is a number that the API counts up to 10,000.
func upToMost(n int) string {
	if n >= 10_000 {
		return number(n) + " or more"
	}
	return number(n)
}

var statsColumns = []column[client.Stats]{
	{"WINDOW", false, func(s client.Stats) string { return text(s.Window) }},
	{"DELIVERED", false, func(s client.Stats) string { return number(s.Deliveries.Delivered) }},
	{"EXHAUSTED", false, func(s client.Stats) string { return number(s.Deliveries.Exhausted) }},
	{"CANCELED", false, func(s client.Stats) string { return number(s.Deliveries.Canceled) }},
	{"HELD NOW", false, func(s client.Stats) string { return upToMost(s.Deliveries.Held) }},
	{"RETRYING NOW", false, func(s client.Stats) string { return upToMost(s.Deliveries.Retrying) }},
	{"PENDING NOW", false, func(s client.Stats) string { return upToMost(s.Deliveries.Pending) }},
	{"ATTEMPTS", false, func(s client.Stats) string { return number(s.Attempts) }},
	{"ACCEPTED", false, func(s client.Stats) string {
		if s.SuccessRate == nil {
			return ""
		}
		return fmt.Sprintf("%.2f %%", *s.SuccessRate*100)
	}},
	{"DURATION, MS", false, func(s client.Stats) string {
		if s.DurationMs == nil {
			return ""
		}
		return fmt.Sprintf("p50 %d, p95 %d, p99 %d", s.DurationMs.P50, s.DurationMs.P95, s.DurationMs.P99)
	}},
	{"STATUS CODES", false, func(s client.Stats) string {
		var out []string
		for _, code := range slices.Sorted(maps.Keys(s.StatusCodes)) {
			out = append(out, fmt.Sprintf("%s: %d", code, s.StatusCodes[code]))
		}
		return strings.Join(out, ", ")
	}},
}

func newStats(open opener, e Env, a about, do func(in call, window string) (*client.Stats, error)) *cobra.Command {
	window := "24h"
	c := one(open, e, a, statsColumns, func(in call) (*client.Stats, error) { return do(in, window) })
	c.Flags().StringVar(&window, "window", window, "1h, 24h or 7d")
	return c
}
