package main

import (
	"context"
	"errors"
	"strings"

	"waybill/scripts/stack"
)

// wires lead to several addresses and are cut together.
type wires []*stack.Wire

func newWires(ctx context.Context, addresses []string) (wires, error) {
	var all wires
	for _, address := range addresses {
		w, err := stack.NewWire(ctx, "127.0.0.1:0", address)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, w)
	}
	return all, nil
}

// addresses are the near ends, as WAYBILL_TEMPORAL_ADDRESS takes them.
func (ws wires) addresses() string {
	var all []string
	for _, w := range ws {
		all = append(all, w.Addr())
	}
	return strings.Join(all, ",")
}

func (ws wires) cut() {
	for _, w := range ws {
		w.Cut()
	}
}

func (ws wires) mend() {
	for _, w := range ws {
		w.Mend()
	}
}

// passed counts the bytes that went through.
func (ws wires) passed() int64 {
	var sum int64
	for _, w := range ws {
		sum += w.Passed()
	}
	return sum
}

func (ws wires) close() error {
	var errs []error
	for _, w := range ws {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}
