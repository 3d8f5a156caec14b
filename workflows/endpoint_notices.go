package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
)

// Times of EndpointNotices.
const (
	// gatherTime is how long it gathers before its first mail: an outage that exhausts many deliveries and then disables the endpoint
	// is one mail.
	gatherTime = 10 * time.Second
	// refusalPause is the wait after the mail server has refused a mail for good, and refusalsEnd how long it is tried all the same: a
	// mailbox may be full, or new.
	refusalPause = time.Hour
	refusalsEnd  = 72 * time.Hour
	// noticePause is the wait after a fault of ours.
	noticePause = time.Minute
)

// EndpointNotices tells the tenant's contact of the trouble of one endpoint, and that it is over: a mail at once, then at most one in
// the time that the dialect sets, with what was gathered meanwhile. It lives while something is to be told or is gathered; the state is
// in the database, so one that was lost is started anew by a wake. It fails with an error of type invalid_input when Waybill cannot
// have made its input.
func EndpointNotices(ctx workflow.Context, in *EndpointNoticesInput) (*EndpointNoticesResult, error) {
	if err := in.check(); err != nil {
		return nil, invalidInput(err)
	}
	n := &notices{in: *in}
	n.wakes = workflow.GetSignalChannelWithOptions(ctx, SignalWake, workflow.SignalChannelOptions{
		Description: "looks at once for what is to be told; takes no input",
	})
	return n.run(ctx)
}

// notices is the state of one EndpointNotices.
type notices struct {
	in     EndpointNoticesInput
	wakes  workflow.ReceiveChannel
	result EndpointNoticesResult
	host   string
}

func (n *notices) run(ctx workflow.Context) (*EndpointNoticesResult, error) {
	if !n.in.Continued {
		if err := n.wait(ctx, gatherTime, false, "gathering what there is to tell"); err != nil {
			return nil, err
		}
	}
	for {
		// The activity sees all that the wakes before it tell.
		for n.wakes.ReceiveAsync(nil) {
		}
		n.show(ctx, "a mail is being sent, if one is due; while the mail server does not take it, it is tried again without end")
		out, err := n.send(ctx)
		if err != nil {
			return nil, err
		}
		done, err := n.after(ctx, out)
		if err != nil {
			return nil, err
		}
		if done {
			n.show(ctx, "nothing is left to tell")
			return &n.result, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			n.in.Continued = true
			return nil, workflow.NewContinueAsNewError(ctx, EndpointNotices, &n.in)
		}
	}
}

// send tells what is due. A fault that the retries of the activity do not cure ends nothing: out is nil then.
func (n *notices) send(ctx workflow.Context) (*activities.NoticeResult, error) {
	var a *activities.Notices
	in := activities.NoticeInput{Tenant: n.in.Tenant, EndpointID: n.in.EndpointID, GiveUp: n.refusedFor(ctx) >= refusalsEnd}
	var out activities.NoticeResult
	err := workflow.ExecuteActivity(mailing(ctx, "mail about "+n.name()), a.SendNotice, in).Get(ctx, &out)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		workflow.GetLogger(ctx).Warn("a mail is not sent yet and will be tried again", "endpoint_id", n.in.EndpointID, "error", err)
		return nil, nil
	}
	if in.GiveUp {
		n.result.GivenUp = true
	}
	return &out, nil
}

// after does what follows from what the activity did, and reports whether the workflow is done.
func (n *notices) after(ctx workflow.Context, out *activities.NoticeResult) (done bool, err error) {
	if out == nil {
		return false, n.wait(ctx, noticePause, false, "the mail could not be sent; the worker's log says why")
	}
	if out.Host != "" {
		n.host = cleanReason(out.Host)
	}
	if out.Refused != "" {
		if n.in.RefusedSince.IsZero() {
			n.in.RefusedSince = workflow.Now(ctx)
		}
		text := fmt.Sprintf("%s, for %s; it is given up at %s. Correct contact_email of the tenant", cleanReason(out.Refused), told(out),
			n.in.RefusedSince.Add(refusalsEnd).UTC().Format(time.RFC3339))
		return false, n.wait(ctx, refusalPause, false, text)
	}
	n.in.RefusedSince = time.Time{}
	if out.Sent != "" {
		n.result.Mails++
	}
	if out.Wait > 0 {
		return false, n.wait(ctx, out.Wait, true, fmt.Sprintf("gathered since the last mail: %s", told(out)))
	}
	return n.wakes.Len() == 0, nil
}

// refusedFor is how long the mail server has refused the mail.
func (n *notices) refusedFor(ctx workflow.Context) time.Duration {
	if n.in.RefusedSince.IsZero() {
		return 0
	}
	return workflow.Now(ctx).Sub(n.in.RefusedSince)
}

// wait waits for a time, or until a wake where that is of use.
func (n *notices) wait(ctx workflow.Context, d time.Duration, wakeable bool, why string) error {
	until := workflow.Now(ctx).Add(d)
	n.show(ctx, fmt.Sprintf("%s; the next look is at %s", why, until.UTC().Format(time.RFC3339)))
	timerCtx, cancelTimer := workflow.WithCancel(ctx)
	defer cancelTimer()
	timer := workflow.NewTimerWithOptions(timerCtx, d, workflow.TimerOptions{Summary: "wait of the mail about " + n.name()})
	return workflow.Await(ctx, func() bool { return timer.IsReady() || wakeable && n.wakes.Len() > 0 })
}

// told says what a mail told or will tell.
func told(out *activities.NoticeResult) string {
	text := fmt.Sprintf("exhausted deliveries: %d", out.Exhausted)
	if out.Disabled {
		text += ", and the endpoint is disabled"
	}
	return text
}

// name is the endpoint for people to read, such as "hooks.example.com (ep_0197...)".
func (n *notices) name() string {
	if n.host == "" {
		return n.in.EndpointID.String()
	}
	return fmt.Sprintf("%s (%s)", n.host, n.in.EndpointID)
}

// show updates Current Details.
func (n *notices) show(ctx workflow.Context, what string) {
	name := n.in.EndpointID.String()
	if n.host != "" {
		name = fmt.Sprintf("%s (%s)", quoted(n.host), n.in.EndpointID)
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%s: %s.\n\nmails sent by this run: %d", name, what, n.result.Mails))
}

// mailing is for mail, on the queue of the processes that have a mail server. A server that is down, slow or refuses for a reason of
// its own delays a mail and loses none; the activity ends after a day so that the history does not grow without end.
func mailing(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              MailQueue,
		ScheduleToCloseTimeout: 24 * time.Hour,
		StartToCloseTimeout:    activities.DefaultMailTimeout + time.Minute,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
		Summary:                summary,
	})
}

// check returns what is wrong with an input.
func (in *EndpointNoticesInput) check() error {
	switch {
	case in == nil:
		return errors.New("the input is null")
	case in.Tenant == "" || in.EndpointID.IsZero():
		return errors.New("tenant and endpoint_id must not be empty")
	}
	return nil
}
