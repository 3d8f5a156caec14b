package turns_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/turns"
)

// takeAll takes what may be taken, in order.
func takeAll(l *turns.Lines[string], may func(string, string) bool) (taken []string) {
	for {
		item, ok := l.Next(may)
		if !ok {
			return taken
		}
		taken = append(taken, item)
	}
}

func TestLines_TakeTurns(t *testing.T) {
	t.Parallel()
	var l turns.Lines[string]
	for n := range 4 {
		l.Add("a", fmt.Sprint("a", n))
	}
	l.Add("b", "b0")
	l.Add("b", "b1")
	require.Equal(t, 6, l.Len())
	require.Equal(t, 4, l.Of("a"))
	require.Zero(t, l.Of("c"))
	first, ok := l.Next(nil)
	require.True(t, ok)
	require.Equal(t, "a0", first)
	l.Add("c", "c0") // comes last, and waits for one of each
	require.Equal(t, []string{"b0", "a1", "c0", "b1", "a2", "a3"}, takeAll(&l, nil))
	require.Zero(t, l.Len())
	l.Add("b", "b2")
	require.Equal(t, []string{"b2"}, takeAll(&l, nil), "nothing is kept of what was empty")
}

// Who may not have a turn keeps the next one.
func TestLines_PassOver(t *testing.T) {
	t.Parallel()
	var l turns.Lines[string]
	for _, tenant := range []string{"a", "b", "c"} {
		l.Add(tenant, tenant+"0")
		l.Add(tenant, tenant+"1")
	}
	mostlyNotA := func(tenant, item string) bool { return tenant != "a" || item == "a0" }
	require.Equal(t, []string{"a0", "b0", "c0", "b1", "c1"}, takeAll(&l, mostlyNotA))
	l.Add("b", "b2")
	require.Equal(t, []string{"a1", "b2"}, takeAll(&l, nil))
}

// What comes back is the first of its line, in the order in which it came back, and has no turn before others.
func TestLines_Return(t *testing.T) {
	t.Parallel()
	var l turns.Lines[string]
	l.Add("b", "b0")
	l.Return("a", "a0")
	l.Add("a", "a2")
	l.Return("a", "a1")
	require.Equal(t, 4, l.Len())
	require.Equal(t, 3, l.Of("a"))
	require.Equal(t, []string{"b0", "a0", "a1", "a2"}, takeAll(&l, nil))
	require.Zero(t, l.Len())
}

func TestFits(t *testing.T) {
	t.Parallel()
	const place = 120
	fill := func(tenants int) (held []int, taken int) {
		held = make([]int, tenants)
		for more := true; more; {
			more = false
			for i := range held {
				if turns.Fits(held[i], taken, place) {
					held[i]++
					taken++
					more = true
				}
			}
		}
		return held, taken
	}
	for tenants, each := range map[int]int{1: 60, 2: 40, 3: 30, 5: 20, 11: 10} {
		held, taken := fill(tenants)
		for _, n := range held {
			require.InDelta(t, each, n, 1)
		}
		require.True(t, turns.Fits(0, taken, place), "who comes has room")
	}
	require.False(t, turns.Fits(0, place, place))
}
