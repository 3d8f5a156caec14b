package schemas

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// resolve finds what the $refs lead to. The schemas that are found so may have $refs of their own.
func (b *bounds) resolve() error {
	for done := false; !done; {
		done = true
		for at, n := range b.nodes {
			refs := n.refs
			n.refs = nil
			for _, ref := range refs {
				done = false
				target, err := b.target(ref)
				if err != nil {
					return fmt.Errorf("has the $ref %s at #%s, which %w", shown(ref), at, err)
				}
				n.same = append(n.same, target)
			}
		}
	}
	return nil
}

func (b *bounds) target(ref string) (*node, error) {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, errors.New("leads out of the schema")
	}
	at, err := url.PathUnescape(fragment)
	if err != nil {
		return nil, errors.New("is not a reference")
	}
	if !strings.HasPrefix(at, "/") && at != "" {
		anchored, ok := b.anchors[at]
		if !ok {
			return nil, errors.New("leads nowhere")
		}
		at = anchored
	}
	v, at, ok := lookUp(b.doc, at)
	if !ok {
		return nil, errors.New("leads nowhere")
	}
	return b.schema(v, at, at == "")
}

var pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")

// lookUp returns the value at a JSON Pointer, and the pointer as this package writes it.
func lookUp(v any, pointer string) (any, string, bool) {
	var clean strings.Builder
	for i, step := range strings.Split(pointer, "/") {
		if i == 0 {
			continue
		}
		step = pointerUnescape.Replace(step)
		switch parent := v.(type) {
		case map[string]any:
			member, ok := parent[step]
			if !ok {
				return nil, "", false
			}
			v = member
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(parent) {
				return nil, "", false
			}
			v, step = parent[n], strconv.Itoa(n)
		default:
			return nil, "", false
		}
		clean.WriteString("/" + pointerEscape.Replace(step))
	}
	return v, clean.String(), true
}

// measureChain refuses a schema that leads to itself for the same value, and one that leads to too many, one after the other.
func (n *node) measureChain() error {
	switch {
	case n.chain < 0:
		return errors.New("refers to itself without end")
	case n.chain > 0:
		return nil
	}
	n.chain = -1
	longest := 0
	for _, next := range n.same {
		if err := next.measureChain(); err != nil {
			return err
		}
		longest = max(longest, next.chain)
	}
	if n.chain = longest + 1; n.chain > maxChain {
		return fmt.Errorf("has more than %d schemas for one value, each in or referred to by the one before", maxChain)
	}
	return nil
}

const (
	// maxWeight is far more than any check may cost.
	maxWeight = 1 << 30
	unknown   = -1
)

// weigh returns how many units a check against the schema costs for each value that is nested so deep below the checked one, at
// most. A schema that checks a value twice, by allOf or by $ref, costs twice, and where such schemas are nested, twice of twice: the
// weight grows as the time does.
func (n *node) weigh(depth int) int {
	for len(n.weights) <= depth {
		n.weights = append(n.weights, unknown)
	}
	if w := n.weights[depth]; w != unknown {
		return w
	}
	w := 0
	if depth == 0 {
		w = n.cost
	} else {
		w = max(heaviest(n.one, depth-1)+total(n.members, depth-1), heaviest(n.first, depth-1)+total(n.items, depth-1))
	}
	w = min(w+total(n.same, depth), maxWeight)
	n.weights[depth] = w
	return w
}

func total(nodes []*node, depth int) int {
	sum := 0
	for _, n := range nodes {
		sum = min(sum+n.weigh(depth), maxWeight)
	}
	return sum
}

func heaviest(nodes []*node, depth int) int {
	most := 0
	for _, n := range nodes {
		most = max(most, n.weigh(depth))
	}
	return most
}
