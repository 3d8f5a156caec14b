package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// MaxManualAttempts is how many attempts of one delivery people may ask for. They come on top of the retry policy, so
// without a bound nothing would end them, and each is kept in the workflow's state.
const MaxManualAttempts = 20

type commandKind int

const (
	commandAttempt commandKind = iota
	commandHold
	commandCancel
)

// command is what a signal, an update or the time asks of a delivery. The delivery's coroutine obeys it once.
type command struct {
	kind   commandKind
	reason string
	// manual says that a person asked for the attempt, so that the retry policy does not count it.
	manual bool
	// ifHeld: the endpoint was enabled during an attempt. The attempt is repeated if it comes back held.
	ifHeld bool
	// thenAttempt: a retry was asked for as well (before change one-command).
	thenAttempt bool

	// done says that the command was obeyed, or never will be; then err says why. An attempt that takes long counts as
	// obeyed once it is under way.
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

// ask makes what a signal or an update asks for the pending command, unless a stronger one is pending, and returns it;
// nil when there is nothing to obey.
func (d *delivery) ask(name, reason string) (*command, error) {
	if err := d.refuses(name); err != nil {
		return nil, err
	}
	if d.pending != nil && d.pending.kind == commandCancel {
		return nil, nil // it ends the delivery, whatever becomes of the endpoint
	}
	switch name {
	case SignalCancelDelivery:
		return d.await(&command{kind: commandCancel, reason: reason}), nil
	case SignalDisableEndpoint:
		return d.await(&command{kind: commandHold, reason: reason}), nil
	case SignalRetryNow:
		return d.await(&command{kind: commandAttempt, manual: true}), nil
	default:
		return d.enabled(), nil
	}
}

// await makes c the pending command in place of the one before. What is asked twice is done once.
func (d *delivery) await(c *command) *command {
	if d.pending != nil {
		if d.pending.kind == c.kind && !d.pending.ifHeld && d.pending.thenAttempt == c.thenAttempt {
			d.pending.manual = d.pending.manual || c.manual
			return d.pending
		}
		d.pending.end(refusal(webhook.CodeConflict, "another command came in between"))
	}
	d.pending = c
	return c
}

// enabled clears a pending hold and wakes a held delivery. A signal may overtake what it is about: an attempt that read
// the endpoint as disabled may still be on its way back.
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
		return d.await(&command{kind: commandAttempt})
	case d.current != nil:
		d.pending = &command{kind: commandAttempt, ifHeld: true}
	}
	return nil
}

// isAsked reports whether a command waits for the coroutine.
func (d *delivery) isAsked() bool { return d.pending != nil && !d.pending.ifHeld }

// obeyed tidies up after an action: a settled delivery has no use for a command, and the repetition of an attempt is
// one only now.
func (d *delivery) obeyed(err error) {
	d.current.end(err)
	d.current = nil
	switch {
	case d.pending == nil:
	case d.state.Status.Settled():
		d.pending.end(refusal(webhook.CodeConflict, d.state.Status.SettledText()))
		d.pending = nil
	case d.pending.ifHeld && d.state.Status != webhook.StatusHeld:
		d.pending = nil
	default:
		d.pending.ifHeld = false
	}
}

// askAsBefore is ask for workflows and moments at which signals meant something else. It reports whether it took the signal.
func (d *delivery) askAsBefore(ctx workflow.Context, name, reason string) bool {
	if d.state.Status.Settled() {
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
		d.await(hold)
		return true
	case name == SignalDisableEndpoint && holding && d.pending.thenAttempt:
		d.pending.reason = reason
		return true
	case name == SignalRetryNow && d.state.Status == webhook.StatusHeld:
		if changed(ctx, changeHeldRetry) {
			return false
		}
		d.await(&command{kind: commandAttempt})
		return true
	}
	return false
}
