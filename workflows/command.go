package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// MaxManualAttempts is how many manual attempts one delivery may have. The retry policy does not count them, so nothing
// else bounds them, and each is kept in the workflow's state.
const MaxManualAttempts = 20

type commandKind int

const (
	commandAttempt commandKind = iota
	commandHold
	commandCancel
)

// command is what a signal, an update or a due time asks of a delivery. The delivery's coroutine obeys it once.
type command struct {
	kind   commandKind
	reason string
	// manual: a person asked for the attempt, so the retry policy does not count it.
	manual bool
	// holdEnded: the delivery was held for too long.
	holdEnded bool
	// informed: the database has canceled the delivery already, and a person may have opened it again since. Of an attempt: who asked
	// for it has been written down.
	informed bool
	// ifHeld: the endpoint was enabled during an attempt. The attempt is repeated if it comes back held.
	ifHeld bool
	// thenAttempt: a retry was asked for as well (before change one-command).
	thenAttempt bool
	// begun is the result of the attempt in the fast lane that was begun for the command already; nil: none was.
	begun workflow.Future

	// done says that the command was obeyed, or never will be; then err says why. An attempt that takes long counts as
	// obeyed once it has begun.
	done bool
	err  error
}

func (c *command) end(err error) {
	if !c.done {
		c.done, c.err = true, err
	}
}

func refusal(code webhook.Code, text string) error {
	return temporal.NewNonRetryableApplicationError(text, string(code), nil)
}

// refuses returns why the delivery cannot do what is asked, nil when it can. It changes nothing.
func (d *delivery) refuses(name string) error {
	switch {
	case d.state.Status.Settled():
		return refusal(webhook.CodeConflict, d.state.Status.SettledText())
	case d.state.Queued && name == SignalRetryNow:
		return refusal(webhook.CodeConflict, d.queuedText())
	case d.pending != nil && d.pending.kind == commandCancel && !switches(name):
		return refusal(webhook.CodeConflict, "the delivery is about to be canceled")
	case name != SignalRetryNow:
		return nil
	case d.state.Status == webhook.StatusHeld || d.pending != nil && d.pending.kind == commandHold:
		return refusal(webhook.CodeConflict, "the endpoint is disabled; enable it, and the delivery goes on")
	case d.state.manual() >= MaxManualAttempts:
		return refusal(webhook.CodeConflict, fmt.Sprintf("people asked for %d attempts of the delivery, the most that may be; its schedule goes on", MaxManualAttempts))
	}
	return nil
}

// manual is how many attempts the retry policy does not count.
func (s *DeliveryState) manual() int {
	n := s.ManualBefore
	for i := range s.Attempts {
		if s.Attempts[i].Manual {
			n++
		}
	}
	return n
}

// ask sets the pending command to what a signal or an update asks for, unless a stronger one is pending, and returns it;
// nil when there is nothing to obey.
func (d *delivery) ask(name, reason string, informed bool) (*command, error) {
	if err := d.refuses(name); err != nil {
		return nil, err
	}
	if d.state.Queued || d.pending != nil && d.pending.kind == commandCancel {
		return nil, nil // its queue obeys; a cancel ends the delivery, whether the endpoint is enabled or not
	}
	switch name {
	case SignalCancelDelivery:
		return d.setPending(&command{kind: commandCancel, reason: reason, informed: informed}), nil
	case SignalDisableEndpoint:
		return d.setPending(&command{kind: commandHold, reason: reason}), nil
	case SignalRetryNow:
		return d.setPending(&command{kind: commandAttempt, manual: true, informed: informed}), nil
	default:
		return d.enabled(), nil
	}
}

// setPending replaces the pending command with c. A command that is asked for twice is obeyed once.
func (d *delivery) setPending(c *command) *command {
	if d.pending != nil {
		if d.pending.kind == c.kind && !d.pending.ifHeld && d.pending.thenAttempt == c.thenAttempt {
			d.pending.manual = d.pending.manual || c.manual
			d.pending.informed = d.pending.informed && c.informed
			return d.pending
		}
		d.pending.end(refusal(webhook.CodeConflict, "another command came in between"))
	}
	d.pending = c
	return c
}

// enabled clears a pending hold and wakes a held delivery. An attempt that read the endpoint as disabled may still be in
// flight when the signal arrives; it is then repeated.
func (d *delivery) enabled() *command {
	if d.pending != nil && d.pending.kind == commandHold {
		again := d.pending.thenAttempt
		d.pending.end(refusal(webhook.CodeConflict, "the endpoint was enabled"))
		if d.pending = nil; again {
			d.pending = &command{kind: commandAttempt}
		}
	}
	switch {
	case d.pending != nil:
		return nil
	case d.state.Status == webhook.StatusHeld && d.current == nil:
		return d.setPending(&command{kind: commandAttempt})
	case d.current != nil:
		d.pending = &command{kind: commandAttempt, ifHeld: true}
	}
	return nil
}

// isAsked reports whether a command waits for the coroutine.
func (d *delivery) isAsked() bool { return d.pending != nil && !d.pending.ifHeld }

// obeyed cleans up after an action. It drops the commands of a settled delivery, and turns ifHeld into an attempt if the
// delivery is held now.
func (d *delivery) obeyed(err error) {
	d.current.end(err)
	d.current = nil
	switch {
	case d.pending == nil:
	case d.state.Status.Settled():
		d.pending.end(refusal(webhook.CodeConflict, d.state.Status.SettledText()))
		d.pending = nil
	case d.state.Queued:
		d.handOver()
	case d.pending.ifHeld && d.state.Status != webhook.StatusHeld:
		d.pending = nil
	default:
		d.pending.ifHeld = false
	}
}

// askAsBefore replaces ask in workflows that began before a change of what signals mean. It reports whether it handled the
// signal.
func (d *delivery) askAsBefore(ctx workflow.Context, name, reason string) bool {
	if d.state.Queued || d.state.Status.Settled() {
		return false
	}
	holding := d.pending != nil && d.pending.kind == commandHold
	retrying := d.pending != nil && d.pending.kind == commandAttempt && !d.pending.ifHeld
	switch {
	case name == SignalRetryNow && holding, name == SignalDisableEndpoint && retrying:
		if changed(ctx, changeOneCommand) {
			return false
		}
		hold := &command{kind: commandHold, reason: reason, thenAttempt: true}
		if holding {
			hold.reason = d.pending.reason
		}
		d.setPending(hold)
		return true
	case name == SignalDisableEndpoint && holding && d.pending.thenAttempt:
		d.pending.reason = reason
		return true
	case name == SignalRetryNow && d.state.Status == webhook.StatusHeld:
		if changed(ctx, changeHeldRetry) {
			return false
		}
		d.setPending(&command{kind: commandAttempt})
		return true
	}
	return false
}
