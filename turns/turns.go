// Package turns is how tenants share what Waybill has one of: what waits takes turns by tenant, and of a place that is bounded a tenant
// may hold as much as is free.
package turns

// Fits reports whether a tenant that holds some of a place may take more of it, which is while it holds less than is free. So a tenant
// that is alone gets half of a place, n that want all of it get an equal part each, of n + 1, and the part that is left is for those that
// come. taken is what all tenants hold, this one too.
func Fits(held, taken, place int) bool { return held < place-taken }

// Lines holds what waits, in a line for each tenant: first come, first served within a line, and the lines take turns. Its memory is that
// of what waits. The zero value is empty. It is not safe for concurrent use.
type Lines[T any] struct {
	byTenant map[string]*line[T]
	// turns are the lines, which all have something in them; the first has the next turn.
	turns []*line[T]
	all   int
}

type line[T any] struct {
	tenant string
	// returned come before items.
	returned, items []T
}

// first returns the queue that has the first item of a line, and len how many it has in all.
func (o *line[T]) first() *[]T {
	if len(o.returned) > 0 {
		return &o.returned
	}
	return &o.items
}

func (o *line[T]) len() int { return len(o.returned) + len(o.items) }

// Add puts an item at the end of a tenant's line. A line that was empty has the last turn.
func (l *Lines[T]) Add(tenant string, item T) {
	one := l.line(tenant)
	one.items = append(one.items, item)
	l.all++
}

// Return puts an item back that was taken: before those of its line that were not, and behind those that came back earlier.
func (l *Lines[T]) Return(tenant string, item T) {
	one := l.line(tenant)
	one.returned = append(one.returned, item)
	l.all++
}

func (l *Lines[T]) line(tenant string) *line[T] {
	one := l.byTenant[tenant]
	if one == nil {
		one = &line[T]{tenant: tenant}
		if l.byTenant == nil {
			l.byTenant = map[string]*line[T]{}
		}
		l.byTenant[tenant] = one
		l.turns = append(l.turns, one)
	}
	return one
}

// Next takes the item whose turn it is. may, unless it is nil, tells whether a tenant may have its turn, which is for the item given; the
// others keep theirs. ok is false when nothing waits that may be taken.
func (l *Lines[T]) Next(may func(tenant string, item T) bool) (item T, ok bool) {
	for i, one := range l.turns {
		queue := one.first()
		if may != nil && !may(one.tenant, (*queue)[0]) {
			continue
		}
		var none T
		item, (*queue)[0] = (*queue)[0], none // none, so that what was taken is not kept
		*queue = (*queue)[1:]
		l.all--
		l.turnTaken(i)
		return item, true
	}
	return item, false
}

// turnTaken gives the line at i the last turn, or forgets it when it is empty.
func (l *Lines[T]) turnTaken(i int) {
	one := l.turns[i]
	copy(l.turns[1:i+1], l.turns[:i]) // those that were passed over keep their turn
	l.turns[0] = nil
	l.turns = l.turns[1:]
	if one.len() > 0 {
		l.turns = append(l.turns, one)
		return
	}
	delete(l.byTenant, one.tenant)
}

// Len returns how many items wait.
func (l *Lines[T]) Len() int { return l.all }

// Of returns how many items of a tenant wait.
func (l *Lines[T]) Of(tenant string) int {
	if one := l.byTenant[tenant]; one != nil {
		return one.len()
	}
	return 0
}

// Tenants returns those of which something waits, in the order of their turns.
func (l *Lines[T]) Tenants() []string {
	out := make([]string, len(l.turns))
	for i, one := range l.turns {
		out[i] = one.tenant
	}
	return out
}
