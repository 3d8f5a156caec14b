package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"waybill/scripts/inbox"
)

// smtpDown has deliveries exhausted while the mail server is away and the processes that should send the mail are killed.
func smtpDown() scenario {
	var address string
	var box *inbox.Inbox
	s := scenario{
		name: "smtp-down", what: "the mail server is away while deliveries are exhausted and `serve` is killed four times; then it is there, and gets one mail",
		endpoints: usual, rate: besidesPerSecond,
	}
	mailed := func() []string {
		host, port, _ := net.SplitHostPort(address) // ours
		return []string{"WAYBILL_SMTP_HOST=" + host, "WAYBILL_SMTP_PORT=" + port, "WAYBILL_SMTP_TLS=none", "WAYBILL_SMTP_FROM=waybill@example.com"}
	}
	s.before = func(ctx context.Context, r *run) (err error) {
		if address, err = freeAddress(); err != nil {
			return err
		}
		contact := map[string]any{"contact_email": "ops@" + r.tenant + ".example"}
		if err := r.call(ctx, "PATCH", "/v1/tenants/"+r.tenant, contact, nil); err != nil {
			return err
		}
		return r.crash(ctx, r.server, mailed()...)
	}
	s.faults = func(ctx context.Context, r *run) (err error) {
		for range 4 {
			if err := r.crash(ctx, r.server, mailed()...); err != nil {
				return err
			}
		}
		if err := r.awaitExhausted(ctx); err != nil {
			return err
		}
		if box, err = inbox.Start(ctx, inbox.Options{Addr: address}); err != nil {
			return err
		}
		return until(ctx, 4*time.Minute, func() error {
			if len(box.Mails()) == 0 {
				return errors.New("no mail has come")
			}
			return nil
		})
	}
	s.also = func(_ context.Context, _ *run, v *verdict) error {
		if n := len(box.Mails()); n != 1 {
			v.wrong("%d mails about one endpoint came within the hour", n)
		}
		return box.Close()
	}
	return s
}

// awaitExhausted waits until a delivery is exhausted, so that there is something to tell.
func (r *run) awaitExhausted(ctx context.Context) error {
	return until(ctx, time.Minute, func() error {
		var n int
		err := r.db.QueryRowContext(ctx, `SELECT count(*) FROM `+r.table("deliveries")+` WHERE tenant_id = $1 AND status = 'exhausted'`, r.tenant).Scan(&n)
		if err == nil && n == 0 {
			err = errors.New("no delivery is exhausted")
		}
		return err
	})
}

// freeAddress is one of the loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
