package main_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/scripts/inbox"
	"waybill/scripts/platforms"
	"waybill/scripts/story"
)

// The story of `make demo` ends well, and the terminal tells what happens while it happens.
func TestStory(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	caught := newInbox(t, inbox.Options{})
	s := g.own(t, "serve", append(smtpEnv(caught.Port()), "WAYBILL_ALLOW_HTTP=true")...)

	var mu sync.Mutex
	var told strings.Builder
	err := story.Tell(t.Context(), story.Options{
		Client: platforms.NewClient("http://"+s.address, g.apiKey), Dashboard: "http://" + s.address,
		Mails: func(context.Context, string) ([]story.Mail, error) {
			var list []story.Mail
			for _, m := range caught.Mails() {
				list = append(list, story.Mail{To: m.To, Subject: m.Subject, Text: m.Text})
			}
			return list, nil
		},
		Say: func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			_, _ = fmt.Fprintf(&told, format+"\n", args...)
		},
	})
	require.NoError(t, err, told.String())
	for _, text := range []string{
		"-1, attempt 2: 503", "-1, attempt 3: 200", "the endpoint is disabled by failures", "Webhook delivery issues for A story",
		"it counts 3", "-2, attempt 3: 200", "Webhooks for A story work again", "Accepted: 6, each once, after 15 attempts.",
	} {
		require.Contains(t, told.String(), text)
	}
}
