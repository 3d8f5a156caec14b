package cli

import (
	"encoding/json"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"waybill/client"
)

var recoveryColumns = []column[client.Recovery]{
	{"ID", false, func(r client.Recovery) string { return r.ID }},
	{"STATUS", false, func(r client.Recovery) string { return text(r.Status) }},
	{"ENDPOINT", false, func(r client.Recovery) string { return r.EndpointID }},
	{"MATCHED", false, func(r client.Recovery) string { return number(r.Matched) }},
	{"SENT", false, func(r client.Recovery) string { return number(r.Sent) }},
	{"DELIVERED", false, func(r client.Recovery) string { return number(r.Delivered) }},
	{"FAILED", false, func(r client.Recovery) string { return number(r.Failed) }},
	{"RATE", true, func(r client.Recovery) string { return maybeNumber(r.Rate) }},
	{"SINCE", true, func(r client.Recovery) string { return at(r.Since) }},
	{"UNTIL", true, func(r client.Recovery) string { return at(r.Until) }},
	{"STATUSES", true, func(r client.Recovery) string { return words(r.Statuses) }},
	{"EVENT TYPES", true, func(r client.Recovery) string { return words(r.EventTypes) }},
	{"MISSED", true, func(r client.Recovery) string { return yesNo(r.Missed) }},
	{"REASON", true, func(r client.Recovery) string { return orNone(r.Reason) }},
	{"CREATED", false, func(r client.Recovery) string { return at(r.CreatedAt) }},
	{"FINISHED", true, func(r client.Recovery) string { return maybeAt(r.FinishedAt) }},
}

func newRecoveries(e Env) *cobra.Command {
	c := &cobra.Command{
		Use: "recoveries", Short: "Send again what an endpoint did not get",
		Long:    "Sends again what an endpoint did not get, at a pace that it survives, and shows how far it is.",
		Example: "  waybill recoveries create --tenant acme --endpoint ep_0197122f3c4b7d1e8f00112233445566 --since 24h --dry-run\n  waybill recoveries list --tenant acme",
	}
	s := newScope(e, c)
	var endpoint string
	list := many(s.open, e, about{"list", "List recoveries, the newest first", "Lists the recoveries of a tenant, the newest first.", "waybill recoveries list --tenant acme"}, recoveryColumns,
		func(in call, page *int) (iter.Seq2[client.Recovery, error], error) {
			return in.client.Recoveries(in.ctx, in.tenant, &client.ListRecoveriesParams{Endpoint: maybe(endpoint), Limit: page}), nil
		})
	list.Flags().StringVar(&endpoint, "endpoint", "", "only those of an endpoint")
	var wait bool
	get := one(s.open, e, about{
		"get RECOVERY", "Show a recovery", "Shows how far a recovery is. With --wait it waits for its end.", "waybill recoveries get rec_0197122f3c4b7d1e8f00112233445566 --tenant acme --wait",
	}, recoveryColumns, func(in call) (*client.Recovery, error) {
		r, err := in.client.GetRecovery(in.ctx, in.tenant, in.args[0])
		if err == nil && wait {
			return e.awaitRecovery(in, r)
		}
		return r, err
	})
	get.Flags().BoolVar(&wait, "wait", false, "wait for its end")
	c.AddCommand(list, get, newRecoveriesCreate(s), one(s.open, e, about{
		"cancel RECOVERY", "End a recovery", "Ends a recovery. What it put into the endpoint's queue stays there.", "waybill recoveries cancel rec_0197122f3c4b7d1e8f00112233445566 --tenant acme",
	}, recoveryColumns, func(in call) (*client.Recovery, error) {
		return in.client.CancelRecovery(in.ctx, in.tenant, in.args[0])
	}))
	return MakeParent(c)
}

// awaitRecovery waits for the end of a recovery and tells how far it is.
func (e Env) awaitRecovery(in call, r *client.Recovery) (*client.Recovery, error) {
	err := e.await(in.ctx, func() (ended bool, says string, err error) {
		now, err := in.client.GetRecovery(in.ctx, in.tenant, r.ID)
		if err != nil {
			return false, "", err
		}
		r = now
		return r.Status != "running", fmt.Sprintf("%d of %d are sent, %d delivered, %d failed", r.Sent, r.Matched, r.Delivered, r.Failed), nil
	})
	return r, err
}

func newRecoveriesCreate(s *scope) *cobra.Command {
	var since, until string
	var dryRun, wait bool
	c := about{
		"create", "Send again what an endpoint did not get",
		"Sends again the deliveries of an endpoint that ended without success, the oldest first: the same bytes and ids. With --missed also events that it " +
			"never got, because it did not exist or did not subscribe. Count first with --dry-run. With --wait it shows the progress and waits for the end.",
		"waybill recoveries create --tenant acme --endpoint ep_0197122f3c4b7d1e8f00112233445566 --since 24h --dry-run\n" +
			"waybill recoveries create --tenant acme --endpoint ep_0197122f3c4b7d1e8f00112233445566 --since 24h --rate 50 --wait",
	}.command(nil)
	b := addBody(s.env, c, false,
		field{"endpoint", "endpoint_id", aText, "the endpoint"},
		field{"statuses", "statuses", aList, "exhausted, canceled, or both by a comma; both where it is left out"},
		field{"event-types", "event_types", aList, "only these types, by commas, such as 'order.*'"},
		field{"missed", "missed", aYesNo, "also events that the endpoint has no delivery of"},
		field{"rate", "rate", aNumber, "the most deliveries a second"},
		field{"reason", "reason", aText, "why, for those who read the log"},
	)
	addSpan(c.Flags(), &since, &until)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "count only")
	c.Flags().BoolVar(&wait, "wait", false, "wait for the end")
	format := addFormat(c, formatTable, formatJSON)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var request client.RecoveryCreate
		if err := b.into(c, &request); err != nil {
			return err
		}
		if request.EndpointID == "" {
			return Usagef("--endpoint is missing")
		}
		from, to, err := span(since, until)
		if err != nil {
			return err
		}
		if from != nil {
			request.Since = from
		}
		if to != nil {
			request.Until = to
		}
		w, tenant, err := s.open(c.Context())
		if err != nil {
			return err
		}
		if dryRun || request.DryRun != nil && *request.DryRun {
			count, err := w.CountRecovery(c.Context(), tenant, request)
			if err != nil {
				return explain(err)
			}
			return show(s.env, format, countColumns, count)
		}
		r, err := w.CreateRecovery(c.Context(), tenant, request)
		if err == nil && wait {
			fmt.Fprintf(s.env.Err, "%s runs.\n", clean(r.ID))
			r, err = s.env.awaitRecovery(call{c.Context(), w, tenant, nil}, r)
		}
		if err != nil {
			return explain(err)
		}
		return show(s.env, format, recoveryColumns, r)
	}
	return c
}

var countColumns = []column[client.RecoveryCount]{
	{"WOULD BE SENT", false, func(c client.RecoveryCount) string { return number(c.Matched) }},
	{"BY TYPE", false, func(c client.RecoveryCount) string {
		text, err := json.Marshal(c.ByType)
		if err != nil || len(c.ByType) == 0 {
			return ""
		}
		return string(text)
	}},
}
