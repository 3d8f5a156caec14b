package activities_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/scripts/inbox"
	"waybill/store"
	"waybill/webhook"
)

// The first mail goes at once, what fails within the hour is counted in the next one, and one mail says that it is over.
func TestNotices_OneAnHour(t *testing.T) {
	t.Parallel()
	b := noticeSetup(t, "tradly", inbox.Options{})
	b.exhausted(1)
	require.Equal(t, &activities.NoticeResult{Sent: activities.MailTrouble, Exhausted: 1, Host: "hooks.acme.example:8443"}, b.send(t))
	require.Equal(t, &activities.NoticeResult{Host: "hooks.acme.example:8443"}, b.send(t), "nothing is left to tell")
	require.Equal(t, 1, b.store.released)

	b.now = noon.Add(10 * time.Minute)
	b.exhausted(2)
	require.Equal(t, &activities.NoticeResult{Exhausted: 2, Wait: 50 * time.Minute, Host: "hooks.acme.example:8443"}, b.send(t))
	b.exhausted(3)
	b.now = noon.Add(time.Hour - time.Nanosecond)
	require.Equal(t, time.Nanosecond, b.send(t).Wait)
	require.Len(t, b.inbox.Mails(), 1)
	b.now = noon.Add(time.Hour)
	require.Equal(t, activities.MailTrouble, b.send(t).Sent)
	require.True(t, b.store.notice.InTrouble)

	// It works again, and 1 more delivery was exhausted before: one mail says both, within the hour.
	b.exhausted(1)
	b.now = b.now.Add(time.Minute)
	b.store.notice.WorkingAt, b.store.notice.LastSuccessAt, b.store.notice.Streak.Failures = &b.now, &b.now, 0
	require.Equal(t, activities.MailWorks, b.send(t).Sent)
	require.False(t, b.store.notice.InTrouble)
	got := b.inbox.Mails()
	require.Len(t, got, 3)
	for i, want := range []struct{ subject, text string }{
		{"Tradly webhook delivery issues for https://tradly.app", "1 webhook, after all attempts"},
		{"Tradly webhook delivery issues for https://tradly.app", "5 webhooks, after all attempts"},
		{"Webhooks for https://tradly.app work again at hooks.acme.example:8443", "1 more webhook since the last mail"},
	} {
		require.Equal(t, want.subject, got[i].Subject)
		require.Contains(t, got[i].Text, want.text)
		require.Contains(t, got[i].HTML, want.text)
	}
	b.counted(t, "sent", 3)

	// In trouble again within the hour after the last mail about trouble: it waits, although another mail was sent.
	b.exhausted(1)
	require.Equal(t, 59*time.Minute, b.send(t).Wait)
}

// What is over before anybody was told is not told.
func TestNotices_LeftOut(t *testing.T) {
	t.Parallel()
	leaves := func(dialect string, change func(n *store.Notice)) {
		t.Helper()
		b := noticeSetup(t, dialect, inbox.Options{})
		change(b.store.notice)
		require.Equal(t, &activities.NoticeResult{Host: "hooks.acme.example:8443"}, b.send(t))
		require.Empty(t, b.inbox.Mails())
		require.False(t, b.store.notice.Due)
	}
	leaves("standard", func(n *store.Notice) { n.DisabledAt = &noon }) // and enabled again
	leaves("standard", func(n *store.Notice) { n.WorkingAt = &noon })  // nobody was told of trouble
	leaves("mute", func(n *store.Notice) { n.Exhausted, n.DisabledAt, n.DisabledNow = 1, &noon, &noon })
	leaves("worst", func(n *store.Notice) { n.Exhausted = 1 })
	leaves("standard", func(n *store.Notice) { // it worked for a moment
		n.InTrouble, n.WorkingAt, n.Streak.Failures = true, &noon, 1
	})

	b := noticeSetup(t, "standard", inbox.Options{})
	b.store.notice = nil
	require.Equal(t, &activities.NoticeResult{}, b.send(t), "deleted meanwhile")
}

// It worked for a moment, and fails again, within the hour: the trouble goes on waiting, and the moment is forgotten.
func TestNotices_WorkedForAMoment(t *testing.T) {
	t.Parallel()
	b := noticeSetup(t, "standard", inbox.Options{})
	b.exhausted(1)
	b.send(t)
	b.exhausted(2)
	b.store.notice.WorkingAt = &b.now
	require.Equal(t, time.Hour, b.send(t).Wait)
	require.Nil(t, b.store.notice.WorkingAt)
	require.EqualValues(t, 2, b.store.notice.Exhausted)
	require.True(t, b.store.notice.InTrouble)
	require.Len(t, b.inbox.Mails(), 1)
}

func TestNotices_Disabled(t *testing.T) {
	t.Parallel()
	timeout := webhook.Duration(7 * time.Second)
	b := noticeSetup(t, "worst", inbox.Options{}, func(o *activities.NoticesOptions) { o.PublicURL = "https://waybill.example" })
	n := b.store.notice
	n.Timeout = &timeout
	n.DisabledNow, n.DisabledAt, n.DisabledBy, n.DisabledReason, n.Exhausted = &noon, &noon, webhook.ByFailures, "10 attempts in a row failed", 3
	require.Equal(t, &activities.NoticeResult{Sent: activities.MailTrouble, Exhausted: 3, Disabled: true, Host: "hooks.acme.example:8443"}, b.send(t))
	text := b.inbox.Mails()[0].Text
	require.Contains(t, text, "Disabled:       automatically, 27 May 2026 12:00:00 UTC: 10 attempts in a row failed\n")
	require.Contains(t, text, "from 200 to 299 within 7s.")
	require.Contains(t, text, "POST https://waybill.example/v1/tenants/acme/endpoints/"+endpointID.String()+"/enable")
	require.Contains(t, text, "https://waybill.example/tenants/acme/endpoints/"+endpointID.String()+"\n")
	require.Contains(t, b.inbox.Mails()[0].HTML, `<a href="https://waybill.example/tenants/acme/endpoints/`+endpointID.String()+`">`)
}

// A mail about trouble that is over already says so, and none follows that it works again.
func TestNotices_WorksAlready(t *testing.T) {
	t.Parallel()
	b := noticeSetup(t, "standard", inbox.Options{})
	b.exhausted(1)
	later := noon.Add(time.Minute)
	b.store.notice.Streak.Failures, b.store.notice.LastSuccessAt = 0, &later
	require.Equal(t, activities.MailTrouble, b.send(t).Sent)
	require.False(t, b.store.notice.InTrouble)
	require.Contains(t, b.inbox.Mails()[0].Text, "It answers again since 27 May 2026 12:01:00 UTC.")
	require.NotContains(t, b.inbox.Mails()[0].Text, "Mend the receiver")
}

// A mail server that does not take a mail is an error that Temporal tries again; the contact's refusal is a result.
func TestNotices_NotSent(t *testing.T) {
	t.Parallel()
	code := 550
	b := noticeSetup(t, "standard", inbox.Options{Rcpt: func(to string) error {
		if code == 0 {
			return nil
		}
		return &smtp.SMTPError{Code: code, Message: "not " + to}
	}})
	b.exhausted(1)
	out := b.send(t)
	require.Equal(t, "the mail server refuses the mail with 550", out.Refused)
	require.EqualValues(t, 1, out.Exhausted)
	require.Empty(t, out.Sent)
	b.counted(t, "refused", 1)

	code = 450
	_, err := b.run(t, activities.NoticeInput{})
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed)
	require.False(t, failed.NonRetryable())
	require.Contains(t, err.Error(), "the mail server puts the mail off with 450")
	require.NotContains(t, err.Error(), "ops@acme.example")
	b.counted(t, "failed", 1)
	require.Empty(t, b.store.told)
	require.EqualValues(t, 1, b.store.notice.Exhausted, "nothing is lost")

	out, err = b.run(t, activities.NoticeInput{GiveUp: true})
	require.NoError(t, err)
	require.Equal(t, &activities.NoticeResult{Host: "hooks.acme.example:8443"}, out)
	require.False(t, b.store.notice.Due)
	require.Contains(t, b.log.String(), "a mail is given up")
	b.counted(t, "given_up", 1)
	require.Empty(t, b.inbox.Mails())

	code = 0
	b.exhausted(1)
	require.Equal(t, activities.MailTrouble, b.send(t).Sent, "the next trouble is tried anew")
}

// The mail was sent and could not be marked: the next try marks it and sends nothing.
func TestNotices_MarkFails(t *testing.T) {
	t.Parallel()
	b := noticeSetup(t, "standard", inbox.Options{})
	var beat store.Told
	b.env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		require.NoError(t, details.Get(&beat))
	})
	b.exhausted(1)
	b.store.fault = webhook.Errorf(webhook.CodeUnavailable, "the database is not available").WithCause(errors.New("x"))
	_, err := b.run(t, activities.NoticeInput{})
	require.Error(t, err)
	require.Len(t, b.inbox.Mails(), 1)
	b.store.fault = nil

	n := b.store.notice
	require.Equal(t, store.Told{
		Tenant: "acme", EndpointID: endpointID, Exhausted: 1, Sent: true, Trouble: true, InTrouble: true, ReadAt: noon, At: noon,
	}, beat)
	b.env.SetHeartbeatDetails(beat)
	require.Equal(t, &activities.NoticeResult{Host: "hooks.acme.example:8443"}, b.send(t))
	require.Len(t, b.inbox.Mails(), 1)
	require.EqualValues(t, 1, n.Mails)
	require.False(t, n.Due)
}

// A process that dies between mail and mark costs one duplicate, which mail programs recognize by its id.
func TestNotices_SentTwice(t *testing.T) {
	t.Parallel()
	dies := true
	b := noticeSetup(t, "standard", inbox.Options{}, func(o *activities.NoticesOptions) {
		o.Failpoint = func(name string) {
			require.Equal(t, "after-mail", name)
			if dies {
				panic("dies")
			}
		}
	})
	b.exhausted(1)
	_, err := b.run(t, activities.NoticeInput{})
	require.Error(t, err)
	dies = false
	require.Equal(t, activities.MailTrouble, b.send(t).Sent)
	got := b.inbox.Mails()
	require.Len(t, got, 2)
	require.Equal(t, got[0].Header.Get("Message-ID"), got[1].Header.Get("Message-ID"))
	require.Regexp(t, `^<ep_[0-9a-f]+\.1\.[0-9]+\.trouble@example\.com>$`, got[0].Header.Get("Message-ID"))

	b.now = noon.Add(2 * time.Hour)
	b.exhausted(1)
	b.send(t)
	require.NotEqual(t, got[0].Header.Get("Message-ID"), b.inbox.Mails()[2].Header.Get("Message-ID"))
}

// Nothing of the endpoint but its host, no payload, and no text of others as markup, header or control character.
func TestNotices_HostileTexts(t *testing.T) {
	t.Parallel()
	b := noticeSetup(t, "standard", inbox.Options{})
	n := b.store.notice
	n.Tenant.Name, n.Tenant.URL = "Evil\r\nBcc: victim@else.example <script>alert(1)</script>", ""
	b.exhausted(1)
	n.LastError = "500 <img src=x onerror=alert(1)> see https://u:hush-user@hooks.acme.example/hush-path?token=hush-query\r\n.\r\n\x1b[31m\u202e" + strings.Repeat("y", 5000)
	n.DisabledNow, n.DisabledAt, n.DisabledReason, n.DisabledBy = &noon, &noon, "javascript://hush-reason \x00 {{.API}}", "key <b>"
	b.send(t)
	got := b.inbox.Mails()
	require.Len(t, got, 1)
	require.Empty(t, got[0].Header.Get("Bcc"))
	require.Equal(t, []string{"ops@acme.example"}, got[0].To)
	for _, part := range []string{string(got[0].Raw), got[0].Text, got[0].HTML} {
		require.NotContains(t, part, "hush")
		require.NotContains(t, part, "\x1b")
		require.NotContains(t, part, "\u202e")
	}
	require.NotContains(t, got[0].HTML, "<script>")
	require.NotContains(t, got[0].HTML, "<img")
	require.Contains(t, got[0].HTML, "&lt;img")
	require.Contains(t, got[0].Text, "[link]")
	require.Contains(t, got[0].Text, "{{.API}}")
	require.Less(t, len(got[0].Text), 3000)
	for line := range strings.Lines(string(got[0].Raw)) {
		require.LessOrEqual(t, len(line), 1000)
	}
	out, err := json.Marshal(b.store.told)
	require.NoError(t, err)
	require.NotContains(t, string(out), "hush")
}

func TestNotices_UnknownDialect(t *testing.T) {
	t.Parallel()
	b := noticeSetup(t, "elsewhere", inbox.Options{})
	b.exhausted(1)
	_, err := b.run(t, activities.NoticeInput{})
	require.ErrorContains(t, err, "the tenant's dialect is not loaded")
	require.Empty(t, b.store.told)
}

// The name of a sender may have an @, which is none of the Message-ID's.
func TestSendNotice_IDAndNameOfSender(t *testing.T) {
	t.Parallel()
	b := noticeSetup(t, "standard", inbox.Options{}, func(o *activities.NoticesOptions) { o.From = `"Ops @ home" <waybill@example.net>` })
	b.exhausted(1)
	b.send(t)
	require.Regexp(t, `^<ep_[0-9a-f]+\.1\.[0-9]+\.trouble@example\.net>$`, b.inbox.Mails()[0].Header.Get("Message-ID"))
}
