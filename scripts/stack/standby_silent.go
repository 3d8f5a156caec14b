package stack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
)

// rules are iptables' rules by which packets of the loopback interface from and to a port get lost.
func rules(port Port) [][]string {
	var all [][]string
	for _, side := range []string{"--sport", "--dport"} {
		all = append(all, []string{"INPUT", "--in-interface", "lo", "--protocol", "tcp", side, port.String(), "--jump", "DROP"})
	}
	return all
}

func iptables(ctx context.Context, change string, rule []string) error {
	out, err := exec.CommandContext(ctx, "iptables", append([]string{"--wait", change}, rule...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s: %w: %s", change, err, out)
	}
	return nil
}

// SilencePossible returns why no server can fall silent here: losing its packets takes root and iptables.
func SilencePossible(ctx context.Context) error {
	var errs []error
	for _, change := range []string{"--append", "--delete"} {
		for _, rule := range rules(Port{Number: 1}) {
			errs = append(errs, iptables(ctx, change, rule))
		}
	}
	return errors.Join(errs...)
}

// SilencePrimary loses the primary, and nobody is told: no packet comes from its address any more, as when a machine loses its power.
func (b *Standby) SilencePrimary(ctx context.Context) error {
	b.silent = true
	for _, rule := range rules(b.primary.port) {
		if err := iptables(ctx, "--append", rule); err != nil {
			return err
		}
	}
	return b.LosePrimary()
}

// endSilence takes the rules back.
func (b *Standby) endSilence() error {
	if !b.silent {
		return nil
	}
	var errs []error
	for _, rule := range rules(b.primary.port) {
		errs = append(errs, iptables(context.Background(), "--delete", rule))
	}
	return errors.Join(errs...)
}
