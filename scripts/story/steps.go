package story

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type endpoint struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Disabled struct {
		By     string `json:"by"`
		Reason string `json:"reason"`
	} `json:"disabled"`
}

func (t *teller) endpoint(ctx context.Context, fields map[string]any) (id string, err error) {
	var e endpoint
	if err := t.Client.Call(ctx, http.MethodPost, t.path+"/endpoints", fields, &e); err != nil {
		return "", fmt.Errorf("create an endpoint: %w", err)
	}
	return e.ID, nil
}

// publish publishes the next event, whose id says which it is.
func (t *teller) publish(ctx context.Context, eventType string) error {
	id := fmt.Sprintf("%s-%d", t.tenant, len(t.published)+1)
	event := map[string]any{"id": id, "type": eventType, "data": map[string]any{"number": len(t.published) + 1}}
	if err := t.Client.Call(ctx, http.MethodPost, t.path+"/events", event, nil); err != nil {
		return fmt.Errorf("publish an event: %w", err)
	}
	t.published = append(t.published, id)
	t.Say("%s  published %s %s", time.Now().Format("15:04:05.0"), eventType, id)
	return nil
}

// count reports whether the tenant has n deliveries of a status, tests left out.
func (t *teller) count(ctx context.Context, status string, n int) (bool, error) {
	var list struct{ Data []struct{} }
	err := t.Client.Call(ctx, http.MethodGet, t.path+"/deliveries?limit=100&test=false&status="+status, nil, &list)
	return len(list.Data) == n, err
}

// mail waits for the tenant's n-th mail and tells it.
func (t *teller) mail(ctx context.Context, n int) error {
	if t.Mails == nil {
		return nil
	}
	var m Mail
	err := t.await(ctx, "the mail", func() (bool, error) {
		mails, err := t.Mails(ctx, t.contact)
		if err != nil || len(mails) < n {
			return false, err
		}
		m = mails[n-1]
		return true, nil
	})
	if err != nil {
		return err
	}
	t.Say("\n           A mail to %s: %s", t.contact, m.Subject)
	lines := slices.Collect(strings.Lines(m.Text))
	for _, line := range lines[:min(len(lines), 12)] {
		t.Say("             | %s", strings.TrimRight(line, "\r\n"))
	}
	return nil
}

// await asks again and again until something has come true.
func (t *teller) await(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		is, err := done()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if is {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: it has not come true: %w", what, ctx.Err())
		}
	}
}
