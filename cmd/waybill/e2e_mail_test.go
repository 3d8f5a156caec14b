package main_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/scripts/inbox"
)

// smtpEnv makes a process send its mail to a server of this machine.
func smtpEnv(port int) []string {
	return []string{
		"WAYBILL_SMTP_HOST=127.0.0.1", fmt.Sprintf("WAYBILL_SMTP_PORT=%d", port), "WAYBILL_SMTP_TLS=none",
		"WAYBILL_SMTP_FROM=Waybill <waybill@waybill.example>", "WAYBILL_PUBLIC_URL=https://waybill.example",
	}
}

func newInbox(t *testing.T, o inbox.Options) *inbox.Inbox {
	t.Helper()
	b, err := inbox.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// waitMails returns the mails once there are n of them, and fails the test when there are more.
func waitMails(t *testing.T, b *inbox.Inbox, n int) []*inbox.Mail {
	t.Helper()
	await(t, patience, fmt.Sprintf("%d mails", n), func() error {
		if got := len(b.Mails()); got < n {
			return fmt.Errorf("%d have come", got)
		}
		return nil
	})
	got := b.Mails()
	require.Len(t, got, n)
	return got
}

// gathered returns how many exhausted deliveries wait for the next mail.
func (g *group) gathered(t *testing.T, tenant string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var n int
	query := "SELECT coalesce(sum(exhausted), 0) FROM " + pq.QuoteIdentifier(g.schema) + ".endpoint_notices WHERE tenant_id = $1"
	require.NoError(t, g.db.QueryRowContext(ctx, query, tenant).Scan(&n))
	return n
}

// mailTenant is a tenant whose contact gets mail, and whose deliveries are exhausted with their first failure.
func mailTenant(t *testing.T, s *server, dialect string) *tenant {
	t.Helper()
	return newTenant(t, s, dialect, fields{
		"contact_email": "ops@tradly.example", "url": "https://tradly.app", "retry": fields{"schedule": []string{}},
	})
}

// Tradly's contact is told once, to the letter, however many deliveries fail within the hour, and once that it is over.
func TestMail_Tradly(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	mail := newInbox(t, inbox.Options{})
	s := g.own(t, "serve", smtpEnv(mail.Port())...)
	require.Contains(t, s.read(), `msg="mail is on"`)
	tn := mailTenant(t, s, "tradly")
	r := newReceiver(t, reply{status: 500, body: "hush-body"})
	var e endpoint
	tn.call(t, "POST", tn.path+"/endpoints", fields{"url": r.url + "/hush-path?token=hush-query", "event_types": []string{"*"}}).is(t, 201, &e)
	event := fields{"type": "order.confirmed", "data": fields{"order": "hush-data"}}

	sent := tn.publish(t, event, 1)
	tn.waitDelivery(t, sent.Deliveries[0].ID, "exhausted", 1)
	m := waitMails(t, mail, 1)[0]
	require.Contains(t, string(m.Raw), "\r\nSubject: Tradly webhook delivery issues for https://tradly.app\r\n")
	require.Equal(t, []string{"ops@tradly.example"}, m.To)
	host := strings.TrimPrefix(r.url, "https://")
	for _, part := range []string{m.Text, m.HTML} {
		require.Contains(t, part, host)
		require.Contains(t, part, "1 webhook, after all attempts")
		require.Contains(t, part, "the receiver answered 500")
		require.Contains(t, part, "https://waybill.example/tenants/"+tn.id+"/endpoints/"+e.ID)
	}
	require.NotContains(t, string(m.Raw), "hush")
	require.NotContains(t, string(m.Raw), e.Secret)

	for range 2 {
		tn.waitDelivery(t, tn.publish(t, event, 1).Deliveries[0].ID, "exhausted", 1)
	}
	require.Equal(t, 2, g.gathered(t, tn.id))
	awaitClock(t, time.Now().Add(3*time.Second)) // the workflow looks within a second
	waitMails(t, mail, 1)

	r.answers(reply{})
	tn.waitDelivery(t, tn.publish(t, event, 1).Deliveries[0].ID, "delivered", 1)
	m = waitMails(t, mail, 2)[1]
	require.Equal(t, "Webhooks for https://tradly.app work again at "+host, m.Subject)
	require.Contains(t, m.Text, "2 more webhooks since the last mail")
	awaitGathered(t, g, tn.id, 0)
	a := s.admin().call(t, "GET", "/metrics", nil)
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, string(a.body), `waybill_mails_total{result="sent"} 2`)
}

func awaitGathered(t *testing.T, g *group, tenant string, want int) {
	t.Helper()
	await(t, patience, fmt.Sprintf("%d deliveries to be gathered", want), func() error {
		if got := g.gathered(t, tenant); got != want {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
}

// A mail server that is down delays the mail, and nothing else: deliveries go on.
func TestMail_ServerDown(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	s := g.own(t, "serve", smtpEnv(port)...)
	tn := mailTenant(t, s, "standard")
	r := newReceiver(t, reply{status: 500}, reply{})
	tn.endpoint(t, r, nil)
	tn.waitDelivery(t, tn.publish(t, confirmed, 1).Deliveries[0].ID, "exhausted", 1)
	await(t, patience, "a mail to fail", func() error {
		if !strings.Contains(string(s.admin().call(t, "GET", "/metrics", nil).body), `waybill_mails_total{result="failed"} 2`) {
			return fmt.Errorf("none has")
		}
		return nil
	})
	another := fields{"id": "another", "type": "order.confirmed", "data": fields{}}
	tn.waitDelivery(t, tn.publish(t, another, 1).Deliveries[0].ID, "delivered", 1)

	s.kill(t) // nor does the mail depend on the process
	mail := newInbox(t, inbox.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port)})
	s.restart(t)
	m := waitMails(t, mail, 1)[0]
	require.Equal(t, "Webhook delivery issues for https://tradly.app at "+strings.TrimPrefix(r.url, "https://"), m.Subject)
	require.Contains(t, m.Text, "1 webhook, after all attempts")
	awaitGathered(t, g, tn.id, 0)
}

// A disabled endpoint is told of, with the reason; a tenant without a contact is told nothing, and nothing piles up.
func TestMail_Disabled(t *testing.T) {
	t.Parallel()
	g := ownGroup(t, groupOptions{})
	mail := newInbox(t, inbox.Options{})
	s := g.own(t, "serve", smtpEnv(mail.Port())...)
	tn, alone := mailTenant(t, s, "standard"), newTenant(t, s, "standard", nil)
	r := newReceiver(t, reply{status: 410})
	tn.endpoint(t, r, nil)
	alone.endpoint(t, r, nil)
	alone.publish(t, confirmed, 1)
	tn.publish(t, confirmed, 1)
	m := waitMails(t, mail, 1)[0]
	require.Contains(t, m.Text, "is disabled, and no webhooks are sent to it.")
	require.Contains(t, m.Text, "because it answered 410 Gone")
	require.Contains(t, m.Text, `{"test": true}`)

	other := tn.endpoint(t, r, nil)
	tn.call(t, "POST", tn.path+"/endpoints/"+other.ID+"/disable", fields{"reason": "they asked, see https://help.example/hush-ticket"}).is(t, 200, nil)
	m = waitMails(t, mail, 2)[1]
	require.Contains(t, m.Text, other.ID)
	require.Regexp(t, `Disabled: +by a person, .* UTC: they asked, see \[link\]`, m.Text)
	require.NotContains(t, m.Text, "Not delivered:")
	require.NotContains(t, string(m.Raw), "hush")
	tn.call(t, "POST", tn.path+"/endpoints/"+other.ID+"/enable", nil).is(t, 200, nil)
	require.Equal(t, "The endpoint "+strings.TrimPrefix(r.url, "https://")+" is enabled again.", strings.SplitN(waitMails(t, mail, 3)[2].Text, "\n", 2)[0])
	await(t, 2*patience, "what nobody is to be told to be forgotten", func() error {
		if n := g.count(t, "endpoint_notices", alone.id); n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
}

// Without a mail server nothing is sent and no workflow is started; the log says so at the start.
func TestMail_Off(t *testing.T) {
	t.Parallel()
	s := shared(t)
	require.Contains(t, s.read(), "mail is off: WAYBILL_SMTP_HOST is not set")
}
